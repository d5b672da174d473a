//! Log to standard error, filtered by `CNISPAWN_LOG` in the syntax of tracing's `EnvFilter`.

use tracing_subscriber::EnvFilter;

/// The variable with the filter; warnings are logged when it is unset.
const VARIABLE: &str = "CNISPAWN_LOG";

/// Log to standard error from now on.
pub(crate) fn to_stderr() {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new("warn"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only when a logger has been set before.
    let _ = lines.without_time().with_target(false).with_ansi(false).try_init();
}
