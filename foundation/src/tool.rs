//! Programs of the host's that change its network, and the packages that have them.

use std::io;
use std::process::Command;

use crate::command::{self, CommandError};

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
    /// It is not installed, or ends non-zero: the error shows the command with its input, to be pasted.
    pub fn run(&self, args: &[&str], input: &str) -> io::Result<String> {
        let mut program = Command::new(self.program);
        program.args(args);
        let output =
            if input.is_empty() { command::output(&mut program) } else { command::output_of(&mut program, input) };
        let output = output.map_err(|error| match error {
            CommandError::Spawn { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                CommandError::Missing { program: self.program.to_owned(), package: self.package }
            }
            error => error,
        });
        Ok(String::from_utf8_lossy(&output.map_err(io::Error::other)?.stdout).into_owned())
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
        assert!(
            error.contains("`printf %s 'a b' | ") && error.contains("cat - '/no such'` failed with exit status: 1"),
            "{error}"
        );
        let missing = Tool { program: "no-such-program", package: "nothing" };
        let error = missing.run(&[], "").expect_err("missing").to_string();
        assert!(
            error.contains("no-such-program not found") && error.ends_with("install the package nothing"),
            "{error}"
        );
    }
}
