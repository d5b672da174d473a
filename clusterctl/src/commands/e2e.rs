//! Run Kubernetes' own end-to-end tests against a cluster.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use foundation::command;
use foundation::files::FileError;
use foundation::lock::Lock;
use foundation::name::Name;
use foundation::record::SuiteRecord;
use foundation::state::StateDirs;
use serde_json::{Value, json};

use self::ginkgo::{Ended, Ginkgo, GinkgoError};
use self::report::{Report, Unavailable};
use crate::builder::{BuilderError, records};
use crate::cluster::{ClusterFiles, OpenError};
use crate::inventory::Inventory;
use crate::seconds::rounded;
use crate::ssh::agent::AgentStartError;
use crate::ssh::parallel::{Parallel, ParallelError};
use crate::swap::roll_out::IMPORT;

mod ginkgo;
mod report;

/// What `clusterctl e2e` is asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct E2eArgs {
    /// Run the tests whose names match (a regular expression of Go's; more than one: any of them)
    #[arg(long, value_name = "REGEX", required_unless_present = "conformance")]
    pub(crate) focus: Vec<String>,
    /// But not those whose names match this
    #[arg(long, value_name = "REGEX")]
    pub(crate) skip: Vec<String>,
    /// Of these, or of all, the conformance tests
    #[arg(long)]
    pub(crate) conformance: bool,
    /// How many tests to run at a time, except for those that must run alone
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel: u16,
    /// Where the tests come from, as for `nodectl e2e`: from where the cluster's Kubernetes does, if not given
    #[arg(long, value_name = "SOURCE")]
    pub(crate) from: Option<String>,
    /// Where to leave junit.xml, report.json and e2e.log, instead of with the cluster's logs
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Seconds after which no test goes on
    #[arg(long, value_name = "SECONDS", default_value_t = 7200)]
    pub(crate) timeout: u64,
    /// The cluster
    #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
    pub(crate) cluster: Name,
}

/// Why tests did not run, or did not pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum E2eError {
    /// The cluster does not exist, or its inventory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There are no tests.
    #[error("there are no tests to run")]
    Builder(#[from] BuilderError),
    /// SSH could not be run.
    #[error(transparent)]
    Start(#[from] AgentStartError),
    /// The images could not be loaded.
    #[error(transparent)]
    Nodes(#[from] ParallelError),
    /// The tests could not be run.
    #[error(transparent)]
    Ginkgo(#[from] GinkgoError),
    /// Nothing matches.
    #[error("no test of Kubernetes {kubernetes} matches; `{program} --list-tests` names all")]
    None {
        /// Its version.
        kubernetes: String,
        /// The tests.
        program: String,
    },
    /// All that match want something that is not there.
    #[error("none of the {} tests that match can run:\n{}", .0.len(), listed(.0))]
    Unavailable(Vec<Unavailable>),
    /// Some failed.
    #[error("{failed} of {run} tests failed; their output is in {}", log.display())]
    Failed {
        /// How many.
        failed: usize,
        /// Of how many.
        run: usize,
        /// The log.
        log: PathBuf,
    },
    /// The suite itself failed.
    #[error("the suite failed, though no test of it did: {why}; its output is in {}", log.display())]
    Suite {
        /// What it says.
        why: String,
        /// The log.
        log: PathBuf,
    },
    /// The record could not be written.
    #[error("cannot write the record to standard output")]
    Output(#[source] std::io::Error),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

fn listed(unavailable: &[Unavailable]) -> String {
    unavailable.iter().map(|one| format!("  {one}")).collect::<Vec<_>>().join("\n")
}

/// Build the tests, load their images into the nodes, run those that are asked for, sum up on standard error, and print
/// a record: `cluster`, `kubernetes`, `passed`, `failed`, `skipped` (names and why), `unavailable`, `build`, `load` and
/// `seconds` (of building the tests, loading images, and running the tests), `junit`, `log`.
pub(crate) fn run(
    dirs: &StateDirs,
    args: &E2eArgs,
    mut output: impl Write,
    interrupted: &AtomicBool,
) -> Result<(), E2eError> {
    let cluster = ClusterFiles::new(dirs, &args.cluster);
    let inventory = cluster.open()?;
    let begun = Instant::now();
    let suite = suite(dirs, args)?;
    let build = begun.elapsed();
    if let Some(version) = server_version(&suite, &cluster)
        && version != suite.kubernetes
    {
        let suite = &suite.kubernetes;
        let _ = writeln!(std::io::stderr(), "e2e: tests of {suite}, of a cluster of {version}; --from says others");
    }
    // One run at a time in a directory of results.
    let _lock = Lock::take_patiently(&dirs.lock(&format!("clusterctl-e2e-{}", args.cluster)))?;
    let dir = args.dir.clone().unwrap_or_else(|| cluster.log_dir().join("e2e"));
    let mut ginkgo = Ginkgo::new(&suite, &cluster.kubeconfig(), &dir, args)?;

    let (wanted, unavailable) = report::split(ginkgo.matching(interrupted)?, &suite.missing);
    if wanted == 0 && unavailable.is_empty() {
        return Err(E2eError::None { kubernetes: suite.kubernetes, program: suite.program.display().to_string() });
    }
    if wanted == 0 {
        return Err(E2eError::Unavailable(unavailable));
    }
    ginkgo.leave_out(&unavailable);

    let begun = Instant::now();
    load(dirs, &cluster, &inventory, &suite, interrupted)?;
    let load = begun.elapsed();
    let nodes = inventory.nodes().len();
    let _ =
        writeln!(std::io::stderr(), "e2e: {wanted} tests on {nodes} nodes; their output: {}", ginkgo.log().display());
    let begun = Instant::now();
    let ended = ginkgo.run(interrupted)?;
    let seconds = begun.elapsed();
    let report = Report::read(&ginkgo.report())?;
    let _ = write!(std::io::stderr(), "{}", report.summary(&unavailable));
    let record = json!({
        "cluster": args.cluster,
        "kubernetes": suite.kubernetes,
        "passed": report.passed,
        "failed": report.failed,
        "skipped": report.skipped,
        "unavailable": unavailable,
        "build": rounded(build),
        "load": rounded(load),
        "seconds": rounded(seconds),
        "junit": ginkgo.junit(),
        "log": ginkgo.log(),
    });
    writeln!(output, "{record}").map_err(E2eError::Output)?;
    match ended {
        Ended::Interrupted => Err(ginkgo.interrupted().into()),
        _ if !report.failed.is_empty() => Err(E2eError::Failed {
            failed: report.failed.len(),
            run: report.failed.len() + report.passed.len(),
            log: ginkgo.log(),
        }),
        Ended::Failed(status) => {
            let why = if report.reasons.is_empty() { status.to_string() } else { report.reasons.join("; ") };
            Err(E2eError::Suite { why, log: ginkgo.log() })
        }
        Ended::Passed => Ok(()),
    }
}

/// The version that the API server says it is of; after an upgrade, it is no longer the image's.
fn server_version(suite: &SuiteRecord, cluster: &ClusterFiles) -> Option<String> {
    let mut kubectl = Command::new(&suite.kubectl);
    kubectl.arg("--kubeconfig").arg(cluster.kubeconfig()).args(["--request-timeout=10s", "get", "--raw", "/version"]);
    // The tests themselves will say what is wrong.
    let version: Value = serde_json::from_slice(&command::output(&mut kubectl).ok()?.stdout).ok()?;
    version["gitVersion"].as_str().map(str::to_owned)
}

/// Have nodectl build the tests and their images.
fn suite(dirs: &StateDirs, args: &E2eArgs) -> Result<SuiteRecord, BuilderError> {
    let cluster = args.cluster.to_string();
    let from = args.from.as_ref().map(|source| format!("--from={source}"));
    let words: Vec<_> = ["e2e", "--cluster", &cluster].into_iter().chain(from.as_deref()).collect();
    let mut suites: Vec<SuiteRecord> = records(dirs, &words)?;
    // Reading none at all is an error.
    Ok(suites.swap_remove(0))
}

/// Import those of the images that a node does not have.
fn load(
    dirs: &StateDirs,
    cluster: &ClusterFiles,
    inventory: &Inventory,
    suite: &SuiteRecord,
    interrupted: &AtomicBool,
) -> Result<(), E2eError> {
    if suite.images.is_empty() {
        return Ok(());
    }
    let _lock = cluster.lock(dirs)?;
    let nodes: Vec<_> = inventory.nodes().into_iter().cloned().collect();
    let mut on = Parallel::start(inventory, &nodes, interrupted)?;
    on.limit(Duration::from_secs(600));
    on.all("Import the images of the tests", |agent| {
        let there = agent.shell("ctr --namespace k8s.io images ls")?;
        // NAME, TYPE, DIGEST and more.
        let there: Vec<Vec<_>> = there.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
        let is_there = |image: &str, digest: &str| {
            there.iter().any(|line| line.first() == Some(&image) && line.get(2) == Some(&digest))
        };
        for image in suite.images.iter().filter(|image| !is_there(&image.image, &image.digest)) {
            agent.feed(IMPORT, &image.archive)?;
        }
        Ok(())
    })?;
    Ok(())
}
