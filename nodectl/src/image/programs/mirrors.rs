//! The options of all builds that say where Debian, releases and images are fetched from. The table of projects has the
//! sites of releases, each of which is an option.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::error::Error as ClapError;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::catalog;
use super::project::Site;

/// Where to fetch from.
#[derive(Clone, Debug, Args)]
pub(crate) struct Mirrors {
    /// Debian mirror to install the node's operating system from, and what images have of it, instead of deb.debian.org
    /// and security.debian.org
    #[arg(long, value_name = "URL", env = "KUBEADM_SYSTEMD_DEBIAN_MIRROR")]
    pub(crate) debian_mirror: Option<String>,
    /// How often to ask the Debian mirror whether it has updates, as 1h or 7days
    #[arg(
        long,
        value_name = "INTERVAL",
        env = "KUBEADM_SYSTEMD_DEBIAN_UPDATES",
        default_value = "1h",
        value_parser = humantime::parse_duration
    )]
    pub(crate) debian_updates: Duration,
    /// Registry to pull from in place of registry.k8s.io, with the same names in it
    #[arg(long, value_name = "URL", env = "KUBEADM_SYSTEMD_REGISTRY")]
    pub(crate) registry: Option<String>,
    /// Where releases are.
    #[command(flatten)]
    sites: Sites,
}

/// The addresses of the table's sites, by their options.
#[derive(Clone, Debug)]
struct Sites(BTreeMap<&'static str, String>);

impl Mirrors {
    /// The address of a site.
    pub(crate) fn site(&self, site: &Site) -> &str {
        self.sites.0.get(site.option).map_or(site.url, String::as_str)
    }

    /// The address of Kubernetes' releases.
    pub(crate) fn releases(&self) -> &str {
        self.site(&catalog::DL_K8S_IO)
    }
}

impl Args for Sites {
    fn augment_args(command: Command) -> Command {
        let option = |site: &'static Site| {
            let option = Arg::new(site.option).long(site.option).value_name("URL").env(site.variable);
            option.default_value(site.url).help(site.help)
        };
        command.args(catalog::sites().into_iter().map(option))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Sites {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, ClapError> {
        let url = |site: &Site| Some((site.option, matches.get_one::<String>(site.option)?.clone()));
        Ok(Sites(catalog::sites().into_iter().filter_map(url).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), ClapError> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
