//! Copy one input to many programs at the same time: none waits for another by more than a few pieces.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use foundation::command::{self, CommandError};

/// Bytes of a piece, and how many of them wait for one program.
const PIECE: usize = 1 << 20;
const PIECES: usize = 8;

type Piece = Arc<Vec<u8>>;

/// Copy all of `input` to the standard input of each of `commands`, and to `look`, and wait for them. Returns the result of
/// `look`, and how each command ended.
pub(super) fn to_all<T, E>(
    mut input: impl Read,
    commands: Vec<Command>,
    look: impl FnOnce(Pieces) -> Result<T, E> + Send,
) -> (Result<T, E>, Vec<Result<(), CommandError>>)
where
    T: Send,
    E: Send + From<io::Error>,
{
    thread::scope(|scope| {
        let (to_look, pieces) = sync_channel(PIECES);
        let looking = scope.spawn(move || look(Pieces::new(pieces)));
        let mut senders = vec![to_look];
        let mut running = Vec::new();
        for mut command in commands {
            let (sender, pieces) = sync_channel::<Piece>(PIECES);
            senders.push(sender);
            running.push(scope.spawn(move || feed(&mut command, pieces)));
        }
        let read = pump(&mut input, &senders);
        drop(senders);
        let results = running.into_iter().map(|thread| joined(thread)).collect();
        let seen = joined(looking);
        (read.map_err(E::from).and(seen), results)
    })
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Copy until the input ends, or no receiver is left.
fn pump(input: &mut impl Read, senders: &[SyncSender<Piece>]) -> io::Result<()> {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        input.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(());
        }
        let piece = Arc::new(piece);
        // A program that has ended reads no more; its status tells why.
        let wanted = senders.iter().filter(|sender| sender.send(Arc::clone(&piece)).is_ok()).count();
        if wanted == 0 {
            return Ok(());
        }
    }
}

fn feed(command: &mut Command, pieces: Receiver<Piece>) -> Result<(), CommandError> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let spawned = command.spawn();
    let mut child = spawned.map_err(command::not_started(command))?;
    let mut stdin = child.stdin.take();
    for piece in pieces {
        if stdin.as_mut().is_none_or(|stdin| stdin.write_all(&piece).is_err()) {
            break;
        }
    }
    drop(stdin);
    let output = child.wait_with_output();
    let output = output.map_err(command::not_started(command))?;
    command::checked(command, output).map(drop)
}

/// The pieces as one stream again.
pub(super) struct Pieces {
    pieces: Receiver<Piece>,
    current: Piece,
    offset: usize,
}

impl Pieces {
    fn new(pieces: Receiver<Piece>) -> Self {
        Pieces { pieces, current: Piece::default(), offset: 0 }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.offset == self.current.len() {
            let Ok(piece) = self.pieces.recv() else { return Ok(0) };
            (self.current, self.offset) = (piece, 0);
        }
        let length = buffer.len().min(self.current.len() - self.offset);
        buffer[..length].copy_from_slice(&self.current[self.offset..self.offset + length]);
        self.offset += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut pieces: Pieces) -> Result<Vec<u8>, io::Error> {
        let mut bytes = Vec::new();
        pieces.read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn all_programs_get_all_of_it_and_one_that_ends_early_holds_up_none() {
        let bytes = vec![7; 20 * PIECE + 3];
        let early = || {
            let mut command = Command::new("sh");
            command.args(["-c", "head -c1 >/dev/null; echo enough >&2; exit 3"]);
            command
        };
        let mut count = Command::new("sh");
        count.args(["-c", &format!("[ $(wc -c) = {} ]", bytes.len())]);
        let (seen, results) = to_all(bytes.as_slice(), vec![early(), count, early()], all);
        assert_eq!(seen.expect("read"), bytes);
        assert!(results[1].is_ok(), "{results:?}");
        assert!(results[0].as_ref().expect_err("it fails").to_string().contains("enough"));
    }
}
