//! Plan a container: decide all that `cnispawn run` does, before it does anything.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use foundation::name::MachineName;
use serde_json::{Value, json};

use super::builtin;
use super::networks::{self, NetworksError};
use super::nspawn::{self, Asked, NspawnError, Surroundings};
use crate::cli::{NetworkOption, RunArgs};
use crate::cni::attachment::AttachmentError;
use crate::cni::chain::ChainError;
use crate::cni::{Attachment, Chain, Command, NetworkList, Plugins};
use crate::dirs::Dirs;
use crate::host::netns;

/// What `cnispawn run` is going to do.
pub(crate) struct Plan {
    pub(crate) name: MachineName,
    /// The path of the container's network namespace.
    pub(crate) netns: PathBuf,
    /// Its networks, in ADD's order.
    pub(crate) networks: Vec<Planned>,
    pub(crate) plugins: Plugins,
    /// systemd-nspawn, or the program that is executed in its place.
    pub(crate) program: PathBuf,
    /// What the user's arguments for systemd-nspawn say of the network.
    pub(crate) asked: Asked,
    user: Vec<OsString>,
}

/// A network, and how the container is attached to it.
pub(crate) struct Planned {
    pub(crate) list: NetworkList,
    pub(crate) attachment: Attachment,
}

/// Why a container cannot be started as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("{} not found in PATH; install the package systemd-container", program.display())]
    NoNspawn { program: PathBuf },
    #[error("two networks want the interface {if_name}; name another with --network NET:ifname=NAME")]
    IfNameTwice { if_name: String },
    #[error("network {network} is named twice; a container has one interface in a network")]
    NetworkTwice { network: String },
    #[error(
        "{option} needs the capability {capability:?}, which no plugin of {} declares; add it to the configuration: \"capabilities\": {{{capability:?}: true}}",
        networks.join(", ")
    )]
    NoCapability {
        option: &'static str,
        capability: &'static str,
        /// The networks that were asked.
        networks: Vec<String>,
    },
    #[error(transparent)]
    Nspawn(#[from] NspawnError),
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
    #[error(transparent)]
    Networks(#[from] NetworksError),
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl PlanError {
    /// Whether the command line cannot work as it is written.
    pub(crate) fn is_usage(&self) -> bool {
        use PlanError::{Attachment, IfNameTwice, NetworkTwice, Nspawn};
        matches!(self, Nspawn(_) | Attachment(_) | IfNameTwice { .. } | NetworkTwice { .. })
    }
}

impl Plan {
    /// Check everything, and change nothing.
    pub(crate) fn make(args: &RunArgs, conf_dir: &Path, plugins: &Plugins, dirs: &Dirs) -> Result<Self, PlanError> {
        let netns = netns::path(args.name.as_str());
        let asked = nspawn::asked(&args.nspawn)?;
        let program = which::which(&args.exec).map_err(|_| PlanError::NoNspawn { program: args.exec.clone() })?;
        let mut networks = Vec::new();
        let wanted: Vec<_> = args.networks.iter().map(Some).collect();
        for (at, option) in if wanted.is_empty() { vec![None] } else { wanted }.into_iter().enumerate() {
            let mut list = networks::find(conf_dir, option.map(|option| option.name.as_str()), dirs)?;
            if list.name == builtin::NAME && args.bandwidth.is_some() && !list.takes("bandwidth") {
                builtin::add_bandwidth(&mut list);
            }
            let attachment = attachment(args, &netns, at, option, &list)?;
            networks.push(Planned { list, attachment });
        }
        let (user, plugins) = (args.nspawn.clone(), plugins.clone());
        let mut plan = Plan { name: args.name.clone(), netns, networks, plugins, program, asked, user };
        plan.check_distinct()?;
        let mappings: Vec<Value> = args.publish.iter().flat_map(|publish| publish.mappings()).collect();
        if !mappings.is_empty() {
            plan.give("--publish", "portMappings", mappings.into())?;
        }
        if let Some(bandwidth) = &args.bandwidth {
            plan.give("--bandwidth", "bandwidth", bandwidth.capability().into())?;
        }
        for planned in &plan.networks {
            Chain { list: &planned.list, plugins: &plan.plugins, cache: &dirs.cache() }.check_programs()?;
        }
        Ok(plan)
    }

    /// The networks, each with the container's attachment.
    pub(crate) fn attachments(&self) -> impl Iterator<Item = (&NetworkList, &Attachment)> {
        self.networks.iter().map(|planned| (&planned.list, &planned.attachment))
    }

    /// The arguments for systemd-nspawn.
    pub(crate) fn nspawn_args(&self, resolv_conf: Option<&Path>) -> Vec<OsString> {
        // As sd_booted(3) does.
        let systemd = Path::new("/run/systemd/system").is_dir();
        let around = Surroundings { netns: &self.netns, resolv_conf, systemd };
        nspawn::args(&self.name, &around, &self.asked, &self.user)
    }

    /// What would be executed, as lines for a shell. Each plugin after the first gets the previous one's result, too.
    pub(crate) fn shown(&self) -> String {
        let mut lines = Vec::new();
        for Planned { list, attachment } in &self.networks {
            lines.push(format!("# {} in network {}", attachment.if_name, list.name));
            for plugin in &list.plugins {
                let name = plugin["type"].as_str().unwrap_or_default();
                let conf = list.plugin_conf(plugin, &attachment.capability_args, None);
                lines.push(self.plugins.replay(name, Command::Add, attachment, &conf));
            }
        }
        lines.push(format!("# container {}", self.name));
        let args = self.nspawn_args(None);
        let words = std::iter::once(self.program.as_os_str()).chain(args.iter().map(OsString::as_os_str));
        lines.push(shell_words::join(words.map(|word| word.to_string_lossy())));
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn check_distinct(&self) -> Result<(), PlanError> {
        let (mut names, mut if_names) = (BTreeSet::new(), BTreeSet::new());
        for Planned { list, attachment } in &self.networks {
            if !names.insert(&list.name) {
                return Err(PlanError::NetworkTwice { network: list.name.clone() });
            }
            if !if_names.insert(&attachment.if_name) {
                return Err(PlanError::IfNameTwice { if_name: attachment.if_name.clone() });
            }
        }
        Ok(())
    }

    /// Give a capability to the first network that takes it.
    fn give(&mut self, option: &'static str, capability: &'static str, value: Value) -> Result<(), PlanError> {
        let Some(planned) = self.networks.iter_mut().find(|planned| planned.list.takes(capability)) else {
            let networks = self.networks.iter().map(|planned| planned.list.name.clone()).collect();
            return Err(PlanError::NoCapability { option, capability, networks });
        };
        planned.attachment.capability_args.insert(capability.to_owned(), value);
        Ok(())
    }
}

/// The container's attachment to its `at`th network. `--ifname`, `--cni-args` and `--cap-args` are for the first.
fn attachment(
    args: &RunArgs,
    netns: &Path,
    at: usize,
    option: Option<&NetworkOption>,
    list: &NetworkList,
) -> Result<Attachment, PlanError> {
    let id = args.name.to_string();
    let mut attachment = match at {
        0 => args.attachment.attachment(id, netns.to_owned())?,
        _ => Attachment {
            container_id: id,
            netns: netns.to_owned(),
            if_name: format!("eth{at}"),
            ..Attachment::default()
        },
    };
    let Some(option) = option else { return Ok(attachment) };
    if let Some(if_name) = &option.if_name {
        attachment.if_name.clone_from(if_name);
    }
    // As capabilities if the network takes them, else as arguments, of which host-local and bridge take one each.
    let mut by_args = Vec::new();
    match option.ips.as_slice() {
        [] => {}
        ips if list.takes("ips") => drop(attachment.capability_args.insert("ips".into(), json!(ips))),
        [ip] => by_args.push(("IP".to_owned(), ip.to_string())),
        _ => {
            let networks = vec![list.name.clone()];
            return Err(PlanError::NoCapability { option: "more than one ip=", capability: "ips", networks });
        }
    }
    if let Some(mac) = &option.mac {
        if list.takes("mac") {
            attachment.capability_args.insert("mac".into(), json!(mac));
        } else {
            by_args.push(("MAC".to_owned(), mac.clone()));
        }
    }
    if !by_args.is_empty() && !attachment.args.iter().any(|(key, _)| key == "IgnoreUnknown") {
        // Each plugin of the chain gets all arguments, and refuses those of the others without this one.
        attachment.args.push(("IgnoreUnknown".to_owned(), "1".to_owned()));
    }
    attachment.args.append(&mut by_args);
    Ok(attachment)
}
