//! `--ifname`, `--cni-args` and `--cap-args`: cnitool's parameters, with its environment.

use std::path::PathBuf;

use crate::cni::Attachment;
use crate::cni::attachment::{AttachmentError, check_if_name, parse_args, parse_capability_args};

/// The plugins' parameters.
#[derive(Debug, clap::Args)]
pub(crate) struct AttachmentArgs {
    /// Name of the interface in the container
    #[arg(long = "ifname", value_name = "NAME", env = "CNI_IFNAME", default_value = "eth0")]
    if_name: String,
    /// Arguments for the plugins: KEY=VALUE;KEY=VALUE
    #[arg(long = "cni-args", value_name = "ARGS", env = "CNI_ARGS", default_value = "", hide_default_value = true)]
    args: String,
    /// Capability arguments for the plugins: a JSON object
    #[arg(long = "cap-args", value_name = "JSON", env = "CAP_ARGS", default_value = "", hide_default_value = true)]
    capability_args: String,
}

impl AttachmentArgs {
    /// The attachment that they describe.
    pub(crate) fn attachment(&self, container_id: String, netns: PathBuf) -> Result<Attachment, AttachmentError> {
        check_if_name(&self.if_name)?;
        Ok(Attachment {
            container_id,
            netns,
            if_name: self.if_name.clone(),
            args: parse_args(&self.args)?,
            capability_args: parse_capability_args(&self.capability_args)?,
        })
    }
}
