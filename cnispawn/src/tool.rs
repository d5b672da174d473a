//! Run programs of the host's to their end.

use std::io::{self, Write};
use std::process::{Command, Stdio};

/// A program, and the package that has it.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The program.
    pub program: &'static str,
    /// What Debian calls the package.
    pub package: &'static str,
}

impl Tool {
    /// Run the program in the calling thread's network namespace, with `input` as its standard input, and return what
    /// it printed.
    ///
    /// # Errors
    /// When it is missing or fails; with a line that runs it again.
    pub fn run(&self, args: &[&str], input: &str) -> io::Result<String> {
        let mut command = Command::new(self.program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot run {}: {error}; install {}", self.program, self.package))
        })?;
        let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output()?;
        if output.status.success() {
            return written.map(|()| String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let replay = self.replay(args, input);
        Err(io::Error::other(format!("`{replay}` failed with {}: {}", output.status, stderr.trim())))
    }

    fn replay(&self, args: &[&str], input: &str) -> String {
        let line = format!("{} {}", self.program, shell_words::join(args));
        if input.is_empty() { line } else { format!("printf %s {} | {line}", shell_words::quote(input)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_can_be_replayed_and_a_missing_program_names_its_package() {
        let cat = Tool { program: "cat", package: "coreutils" };
        assert_eq!(cat.run(&["-"], "a b\n").expect("runs"), "a b\n");
        let error = cat.run(&["-", "/no such"], "a b").expect_err("no such file").to_string();
        assert!(error.contains("`printf %s 'a b' | cat - '/no such'` failed with exit status: 1: cat: "), "{error}");
        let missing = Tool { program: "no-such-program", package: "nothing" };
        let error = missing.run(&[], "").expect_err("missing").to_string();
        assert!(error.contains("cannot run no-such-program") && error.ends_with("install nothing"), "{error}");
    }
}
