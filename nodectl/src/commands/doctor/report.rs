//! Print findings, for people and for programs.

use std::io::{self, Write};

use foundation::table::render;
use serde::Serialize;

use super::{Finding, Status};

/// What is wrong with the host, or why it could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// `doctor`: all has been printed.
    #[error("{failed} of the above must be mended")]
    Failed {
        /// How many checks have failed.
        failed: usize,
    },
    /// `start`: nodes do not run here.
    #[error("nodes do not run on this host; `nodectl doctor` has all of it\n{}", failed.join("\n"))]
    Unfit {
        /// A line for each check that has failed.
        failed: Vec<String>,
    },
    /// Standard output is closed.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// A finding as an object: its check's name beside its own fields.
#[derive(Serialize)]
struct Record<'a> {
    check: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
}

pub(super) fn json(findings: &[(&'static str, Finding)], mut output: impl Write) -> io::Result<()> {
    findings.iter().try_for_each(|(check, finding)| {
        serde_json::to_writer(&mut output, &Record { check, finding })?;
        writeln!(output)
    })
}

pub(super) fn text(findings: &[(&'static str, Finding)], mut output: impl Write) -> io::Result<()> {
    let rows = findings.iter().map(|(check, finding)| {
        let status = match finding.status {
            Status::Ok => "ok",
            Status::Adapted => "adapted",
            Status::Failed => "FAILED",
        };
        [status.to_owned(), (*check).to_owned(), sentence(finding)]
    });
    write!(output, "{}", render(rows))
}

/// A finding in one line, for an error.
pub(super) fn line((check, finding): (&'static str, Finding)) -> String {
    format!("{check}: {}", sentence(&finding))
}

fn sentence(finding: &Finding) -> String {
    match (&finding.adaptation, &finding.mend) {
        (Some(adaptation), _) => format!("{}: {adaptation}", finding.found),
        (None, Some(mend)) => format!("{}; mend: {mend}", finding.found),
        (None, None) => finding.found.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_was_found_and_what_comes_of_it() {
        let findings = [
            ("swap", Finding::adapted("there is swap", "kubelet is told")),
            ("cni-plugins", Finding::failed("no bridge", "kubeadm-systemd setup")),
        ];
        let mut output = Vec::new();
        text(&findings, &mut output).expect("written");
        let expected = "adapted  swap         there is swap: kubelet is told\n\
            FAILED   cni-plugins  no bridge; mend: kubeadm-systemd setup\n";
        assert_eq!(String::from_utf8_lossy(&output), expected);
        let mut output = Vec::new();
        json(&findings[1..], &mut output).expect("written");
        let expected =
            r#"{"check":"cni-plugins","status":"failed","found":"no bridge","mend":"kubeadm-systemd setup"}"#;
        assert_eq!(String::from_utf8_lossy(&output).trim_end(), expected);
    }
}
