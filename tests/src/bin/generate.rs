//! Write man pages and completions below a directory: what `make install` does.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(share) = std::env::args_os().nth(1) else {
        eprintln!("generate: name the directory to write below, as in `generate target/share`");
        return ExitCode::from(2);
    };
    match tests::generated::write(Path::new(&share)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: cannot write below {}: {error}", share.display());
            ExitCode::FAILURE
        }
    }
}
