//! How the host is told: at the same time, and again when it does not listen.

use std::io;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

/// Take a step, again when it fails: all of them look first, and the kernel may refuse to delete a chain while somebody
/// else changes rules, as it does to the bridge plugin ([`crate::container::detach`]).
pub(super) fn persist(step: impl Fn() -> io::Result<()>) -> io::Result<()> {
    for pause in [50, 100, 200, 400].map(Duration::from_millis) {
        match step() {
            Ok(()) => return Ok(()),
            Err(error) => tracing::debug!("again after: {error}"),
        }
        thread::sleep(pause);
    }
    step()
}

/// Do something with each of some things, in threads of their own; all is done when this returns, and the first failure
/// is returned.
pub(super) fn together<T: Send, E: Send>(
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
