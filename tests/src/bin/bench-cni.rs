//! `make bench-cni`: how long an ADD takes by cnispawn, by cnitool, and by the plugins alone, in turn: the same
//! configuration, the same plugins, and a new network namespace each time.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use foundation::table;
use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Of each tool the median is printed, with the least and the most.
const ROUNDS: usize = 150;

const NETWORK: &str = "bench";
const NETNS: &str = "/run/netns/bench";
const PLUGIN_DIRS: &str = "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni";

/// What does an ADD.
#[derive(Clone, Copy)]
enum Tool {
    Cnitool,
    Cnispawn,
    /// The bridge plugin, executed as both do it.
    Plugin,
}

const TOOLS: [Tool; 3] = [Tool::Cnitool, Tool::Cnispawn, Tool::Plugin];

struct Bench {
    cnitool: PathBuf,
    cnispawn: PathBuf,
    bridge: PathBuf,
    dir: PathBuf,
    conf: Value,
}

impl Bench {
    fn new(dir: &Path, cnispawn: PathBuf, cnitool: PathBuf) -> Result<Self> {
        let bridge = PLUGIN_DIRS.split(':').map(|dir| Path::new(dir).join("bridge")).find(|path| path.is_file());
        let conf = json!({
            "type": "bridge", "bridge": "bench0", "isGateway": true, "ipMasq": true,
            "ipam": {"type": "host-local", "dataDir": dir.join("ipam"), "routes": [{"dst": "0.0.0.0/0"}],
                "ranges": [[{"subnet": "10.201.0.0/16"}]]},
        });
        let list = json!({"cniVersion": "1.0.0", "name": NETWORK, "plugins": [conf]});
        fs::create_dir(dir.join("net.d"))?;
        fs::write(dir.join("net.d/50-bench.conflist"), list.to_string())?;
        let bridge = bridge.ok_or("no CNI plugins; install containernetworking-plugins")?;
        Ok(Bench { cnitool, cnispawn, bridge, dir: dir.to_owned(), conf })
    }

    fn command(&self, tool: Tool, verb: &str) -> Command {
        let mut command = Command::new(match tool {
            Tool::Cnitool => &self.cnitool,
            Tool::Cnispawn => &self.cnispawn,
            Tool::Plugin => &self.bridge,
        });
        match tool {
            Tool::Plugin => {
                command.env("CNI_COMMAND", verb.to_uppercase()).env("CNI_CONTAINERID", NETWORK);
                command.env("CNI_NETNS", NETNS).env("CNI_IFNAME", "eth0").env("CNI_ARGS", "");
            }
            _ => drop(command.args([verb, NETWORK, NETNS])),
        }
        command.env("CNI_PATH", PLUGIN_DIRS).env("NETCONFPATH", self.dir.join("net.d"));
        // As cnitool does, cnispawn caches in /var/lib/cni.
        command.env("CNISPAWN_RUN_DIR", self.dir.join("run"));
        command
    }

    /// What a tool reads on its standard input, when it gets this result of an ADD.
    fn input(&self, tool: Tool, result: Option<&[u8]>) -> Result<String> {
        let mut conf = self.conf.clone();
        conf["cniVersion"] = "1.0.0".into();
        conf["name"] = NETWORK.into();
        if let Some(result) = result {
            conf["prevResult"] = serde_json::from_slice(result)?;
        }
        Ok(if matches!(tool, Tool::Plugin) { conf.to_string() } else { String::new() })
    }

    /// ADD, and then DEL, in a new network namespace. Returns the milliseconds of ADD.
    fn round(&self, tool: Tool) -> Result<f64> {
        run(Command::new("ip").args(["netns", "add", "bench"]), "")?;
        let (mut add, input) = (self.command(tool, "add"), self.input(tool, None)?);
        let started = Instant::now();
        let added = run(&mut add, &input)?;
        let took = started.elapsed().as_secs_f64() * 1e3;
        run(&mut self.command(tool, "del"), &self.input(tool, Some(&added.stdout))?)?;
        run(Command::new("ip").args(["netns", "delete", "bench"]), "")?;
        Ok(took)
    }
}

fn run(command: &mut Command, input: &str) -> Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("no pipe")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Err(format!("{command:?}: {}\n{}", output.status, said.concat()).into())
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(mut times: [Vec<f64>; 3]) -> String {
    let header = ["milliseconds", "median", "least", "most"].map(str::to_owned);
    let mut rows = vec![header];
    for (name, times) in ["cnitool ADD", "cnispawn ADD", "the plugins alone"].into_iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let [least, most] = [times.first(), times.last()].map(|time| time.copied().unwrap_or(f64::NAN));
        rows.push([name.to_owned(), format!("{:.2}", median(times)), format!("{least:.2}"), format!("{most:.2}")]);
    }
    let [cnitool, cnispawn, plugins] = times.each_ref().map(|times| median(times));
    for (name, ratio) in [
        ("cnispawn / cnitool", cnispawn / cnitool),
        ("cnitool / the plugins", cnitool / plugins),
        ("cnispawn / the plugins", cnispawn / plugins),
    ] {
        rows.push([name.to_owned(), format!("{ratio:.3}"), String::new(), String::new()]);
    }
    table::render(rows.into_iter())
}

fn main() -> Result<()> {
    // TARGET/PROFILE/bench-cni; `make bench-cni` has built cnispawn beside it.
    let own = std::env::current_exe()?;
    let target_dir = own.ancestors().nth(2).ok_or("a binary lies in TARGET/PROFILE")?;
    let (cnispawn, cnitool) = (own.with_file_name("cnispawn"), tests::cni::program("cnitool", target_dir));
    // Only now: to install cnitool takes the host's network.
    tests::isolate();
    // A disk, as /var/lib is on one, and not in what others keep there.
    let dir = tempfile::Builder::new().prefix("bench-cni.").tempdir_in("/var/tmp")?;
    let bench = Bench::new(dir.path(), cnispawn, cnitool)?;
    mount(Some(dir.path()), "/var/lib", None::<&str>, MsFlags::MS_BIND, None::<&str>)?;

    // The first ADDs make the bridge, and read programs from the disk.
    TOOLS.into_iter().try_for_each(|tool| bench.round(tool).map(drop))?;
    let mut times: [Vec<f64>; 3] = Default::default();
    for round in 0..ROUNDS {
        // In turn, and each of them first as often as the others.
        for place in 0..TOOLS.len() {
            let at = (round + place) % TOOLS.len();
            times[at].push(bench.round(TOOLS[at])?);
        }
    }
    print!("{}", report(times));
    Ok(())
}
