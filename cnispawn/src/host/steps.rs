//! Take steps that may fail for a moment: concurrently, and again.

use std::io;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

/// Take a step until it succeeds, at most five times. A step reads the rules before it changes them, and the kernel may
/// refuse to delete a chain while another process changes rules.
pub(super) fn retry(step: impl Fn() -> io::Result<()>) -> io::Result<()> {
    for pause in [50, 100, 200, 400].map(Duration::from_millis) {
        match step() {
            Ok(()) => return Ok(()),
            Err(error) => tracing::debug!("again after: {error}"),
        }
        thread::sleep(pause);
    }
    step()
}

/// Do `work` with each of `things`, in a thread of its own. All of it is done on return; the first failure is returned.
pub(super) fn concurrently<T: Send, E: Send>(
    things: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = things.into_iter().map(|thing| scope.spawn(move || work(thing))).collect();
        let done: Vec<_> =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect();
        done.into_iter().collect()
    })
}
