//! `cnispawn ls`: list containers, as a table for people or JSON Lines for programs.

use std::io::{self, Write};

use foundation::files::FileError;
use foundation::table;
use serde_json::{Value, json};

use crate::cni::result::addresses;
use crate::container::record::{Record, RecordError};
use crate::dirs::Dirs;

/// Why containers could not be listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LsError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Print the containers, running and dead.
pub(crate) fn run(json: bool, dirs: &Dirs, mut output: impl Write) -> Result<(), LsError> {
    let records = Record::all(dirs)?.into_iter().collect::<Result<Vec<_>, _>>()?;
    let rows: Vec<_> = records.iter().map(|record| describe(dirs, record)).collect();
    if json {
        rows.iter().try_for_each(|row| writeln!(output, "{row}"))?;
    } else {
        write!(output, "{}", table(&rows))?;
    }
    Ok(())
}

/// A container as programs read it.
fn describe(dirs: &Dirs, record: &Record) -> Value {
    let networks: Vec<_> = record.attachments.iter().filter_map(|recorded| recorded.list().ok()).collect();
    let networks: Vec<_> = networks.iter().map(|list| list.name.as_str()).collect();
    let results = record.results(dirs);
    // "10.0.0.2/24" is the address and its network's prefix length.
    let addresses: Vec<_> = results.iter().flat_map(addresses).map(|ip| ip.split('/').next().unwrap_or(ip)).collect();
    let state = match record.process.is_alive() {
        true => "running",
        false if record.parked => "rebooting",
        false => "dead",
    };
    json!({
        "name": record.name,
        "networks": networks,
        "addresses": addresses,
        "netns": record.netns,
        "pid": record.process.pid,
        "state": state,
    })
}

fn table(rows: &[Value]) -> String {
    let columns = ["name", "networks", "addresses", "netns", "pid", "state"];
    let cells = |row: &Value| columns.map(|column| cell(&row[column]));
    table::render([columns.map(str::to_uppercase)].into_iter().chain(rows.iter().map(cells)))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = json!({"name": "web", "networks": ["a", "b"], "addresses": ["10.0.0.2", "fd00::2"], "netns": "/run/netns/web",
            "pid": 7, "state": "running"});
        assert_eq!(
            table(&[row]),
            "NAME  NETWORKS  ADDRESSES         NETNS           PID  STATE\n\
             web   a,b       10.0.0.2,fd00::2  /run/netns/web  7    running\n"
        );
    }
}
