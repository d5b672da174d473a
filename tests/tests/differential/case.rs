//! A case: what is configured, how the plugins behave, which steps are taken, and why the tools differ, if they do.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reason::Reason;

/// The plugins that every case has at hand.
pub(crate) const PLUGINS: [&str; 3] = ["one", "two", "three"];

/// The network namespace that is attached. One path for both tools: the container's id is made from it.
pub(crate) const NETNS: &str = "/run/netns/mine";

/// One run of both tools.
#[derive(Clone)]
pub(crate) struct Case {
    /// Told when it fails.
    pub(crate) name: String,
    /// NET of the command lines.
    pub(crate) network: String,
    /// NETNS of the command lines.
    pub(crate) netns: &'static str,
    /// Names below the configuration directory, and texts; `@` in a text or an environment variable is the case's
    /// directory.
    pub(crate) files: Vec<(String, String)>,
    /// Variables beside NETCONFPATH and CNI_PATH, which they may replace.
    pub(crate) env: BTreeMap<&'static str, String>,
    /// What a plugin does on a command, by `PLUGIN.COMMAND`.
    pub(crate) behaviours: BTreeMap<String, Behaviour>,
    /// Verbs, and what else [`super::host::Host::step`] knows.
    pub(crate) steps: Vec<&'static str>,
    /// What excuses our differences, each of them some.
    pub(crate) reasons: Vec<Reason>,
    /// The case in which cnitool does what we do in this one, and why we do.
    pub(crate) instead: Option<(Reason, Box<Case>)>,
}

/// What a plugin does.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// The debug file of CNI's own noop plugin.
    Noop(Value),
    /// A piece of a shell script, for what noop cannot do.
    Script(&'static str),
}

impl Case {
    /// The network `net` with these plugins, as a list; each step succeeds unless the case says more.
    ///
    /// The first plugin reports a result of the version; the others pass it on.
    pub(crate) fn new(name: impl Into<String>, version: &str, plugins: &Value, steps: &'static str) -> Self {
        let mut list = json!({"name": "net", "plugins": plugins});
        if !version.is_empty() {
            list["cniVersion"] = version.into();
        }
        Self::with_files(name, version, &[("50-net.conflist", &list.to_string())], steps)
    }

    /// The same with these files.
    pub(crate) fn with_files(
        name: impl Into<String>,
        version: &str,
        files: &[(&str, &str)],
        steps: &'static str,
    ) -> Self {
        let case = Case {
            name: name.into(),
            network: "net".to_owned(),
            netns: NETNS,
            files: files.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect(),
            env: BTreeMap::new(),
            behaviours: BTreeMap::new(),
            steps: steps.split_whitespace().collect(),
            reasons: Vec::new(),
            instead: None,
        };
        let passed_on = PLUGINS[1..].iter().map(|plugin| format!("{plugin}.ADD"));
        passed_on.fold(case.result(&result(version)), |case, at| case.noop(&at, json!({"ReportResult": "PASSTHROUGH"})))
    }

    /// What the first plugin reports on ADD.
    pub(crate) fn result(self, result: &Value) -> Self {
        self.noop("one.ADD", json!({"ReportResult": result.to_string()}))
    }

    /// What a plugin does on a command.
    pub(crate) fn noop(mut self, at: &str, debug: Value) -> Self {
        self.behaviours.insert(at.to_owned(), Behaviour::Noop(debug));
        self
    }

    /// The same by a shell script.
    pub(crate) fn script(mut self, at: &str, script: &'static str) -> Self {
        self.behaviours.insert(at.to_owned(), Behaviour::Script(script));
        self
    }

    /// Set an environment variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.insert(name, value.into());
        self
    }

    /// We differ, and this is why.
    pub(crate) fn because(mut self, reason: Reason) -> Self {
        self.reasons.push(reason);
        self
    }

    /// We do what cnitool does in another case, and this is why.
    pub(crate) fn instead(mut self, reason: Reason, change: impl FnOnce(Case) -> Case) -> Self {
        self.instead = Some((reason, Box::new(change(self.clone()))));
        self
    }

    /// Take other steps: `refused` is a verb that fails and does nothing.
    pub(crate) fn steps(mut self, steps: &'static str) -> Self {
        self.steps = steps.split_whitespace().collect();
        self
    }

    /// With no configuration at all.
    pub(crate) fn without_files(mut self) -> Self {
        self.files.clear();
        self
    }
}

/// A chain of that many plugins.
pub(crate) fn chain(length: usize) -> Value {
    PLUGINS[..length].iter().map(|plugin| json!({"type": plugin})).collect()
}

/// The fields of both.
pub(crate) fn merged(mut object: Value, more: &Value) -> Value {
    let fields = object.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    object
}

/// A result of a version; of 0.1.0 when there is none.
pub(crate) fn result(version: &str) -> Value {
    let interface = json!({"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/mine"});
    let (route, dns) = (json!({"dst": "0.0.0.0/0", "gw": "10.1.0.1"}), json!({"nameservers": ["10.1.0.1"]}));
    match version {
        "" | "0.1.0" | "0.2.0" => json!({
            "cniVersion": if version.is_empty() { "0.1.0" } else { version },
            "ip4": {"ip": "10.1.0.2/24", "gateway": "10.1.0.1", "routes": [route]}, "dns": dns,
        }),
        "0.3.0" | "0.3.1" | "0.4.0" => json!({
            "cniVersion": version, "interfaces": [interface], "routes": [route], "dns": dns,
            "ips": [{"version": "4", "interface": 0, "address": "10.1.0.2/24", "gateway": "10.1.0.1"}],
        }),
        _ => json!({
            "cniVersion": version, "interfaces": [interface], "routes": [route], "dns": dns,
            "ips": [{"interface": 0, "address": "10.1.0.2/24", "gateway": "10.1.0.1"}],
        }),
    }
}
