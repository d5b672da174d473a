//! Print the path of a cluster's kubeconfig.

use std::io::{self, Write};

use foundation::name::Name;
use foundation::state::StateDirs;

use crate::cluster::ClusterFiles;

/// Why no path was printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubeconfigError {
    /// The cluster was not made yet.
    #[error("cluster {0} has no kubeconfig; make it with `clusterctl up`, or choose another with --cluster")]
    None(Name),
    /// It could not be printed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Print its path.
pub(crate) fn run(dirs: &StateDirs, name: &Name, mut output: impl Write) -> Result<(), KubeconfigError> {
    let path = ClusterFiles::new(dirs, name).kubeconfig();
    if !path.is_file() {
        return Err(KubeconfigError::None(name.clone()));
    }
    writeln!(output, "{}", path.display()).map_err(KubeconfigError::Output)
}
