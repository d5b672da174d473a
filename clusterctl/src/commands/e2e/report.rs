//! What became of the tests: read from ginkgo's report, summed up for people.

use std::fmt::{self, Write};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use foundation::files::FileError;
use foundation::record::Missing;
use serde::{Deserialize, Serialize};

/// Lines of a failure that the summary repeats.
const LINES: usize = 5;

/// ginkgo's report of a suite, as far as it is needed (types.Report of github.com/onsi/ginkgo/v2).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SuiteReport {
    #[serde(default)]
    special_suite_failure_reasons: Option<Vec<String>>,
    #[serde(default)]
    spec_reports: Option<Vec<Spec>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    #[serde(default)]
    container_hierarchy_texts: Option<Vec<String>>,
    leaf_node_type: String,
    leaf_node_text: String,
    state: String,
    /// Nanoseconds.
    #[serde(default)]
    run_time: u64,
    #[serde(default)]
    failure: Failure,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    #[serde(default)]
    message: String,
}

/// A test that ran, or would have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Test {
    /// Its whole name.
    pub(super) name: String,
    /// How long it ran.
    pub(super) seconds: f64,
    /// Why it failed, or was skipped.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) why: String,
}

/// A test that wants something that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Unavailable {
    /// Its whole name.
    pub(super) test: String,
    /// What it wants.
    image: String,
    /// Why that is not there.
    why: String,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: it needs {}: {}", self.test, self.image, self.why)
    }
}

/// Results.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Tests that passed.
    pub(super) passed: Vec<Test>,
    /// Tests that failed, by whatever way; what is around all tests (BeforeSuite) counts as one.
    pub(super) failed: Vec<Test>,
    /// Tests that found that this cluster is not one for them.
    pub(super) skipped: Vec<Test>,
    /// Why the suite as a whole failed.
    pub(super) reasons: Vec<String>,
}

impl Report {
    /// Read ginkgo's report; an empty one, where the suite has not come to write it.
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        if !path.is_file() {
            return Ok(Report::default());
        }
        let file = BufReader::new(File::open(path).map_err(FileError::of("open", path))?);
        let suites: Vec<SuiteReport> = serde_json::from_reader(file).map_err(FileError::of("read", path))?;
        Ok(Self::of(suites))
    }

    fn of(suites: Vec<SuiteReport>) -> Self {
        let mut report = Report::default();
        for suite in suites {
            report.reasons.extend(suite.special_suite_failure_reasons.unwrap_or_default());
            for spec in suite.spec_reports.unwrap_or_default() {
                let is_test = spec.leaf_node_type == "It";
                let list = match spec.state.as_str() {
                    "passed" if is_test => &mut report.passed,
                    // Without a word, it was not asked for.
                    "skipped" if is_test && !spec.failure.message.is_empty() => &mut report.skipped,
                    "passed" | "skipped" | "pending" => continue,
                    _ => &mut report.failed,
                };
                list.push(Test {
                    seconds: crate::seconds::rounded(std::time::Duration::from_nanos(spec.run_time)),
                    why: spec.failure.message.trim().to_owned(),
                    name: spec.name(),
                });
            }
        }
        report
    }

    /// For people.
    pub(super) fn summary(&self, unavailable: &[Unavailable]) -> String {
        let mut text = String::new();
        for test in &self.passed {
            let _ = writeln!(text, "{:7.1}s passed      {}", test.seconds, test.name);
        }
        for test in &self.skipped {
            let _ = writeln!(text, "{:7.1}s skipped     {}: {}", test.seconds, test.name, first_lines(&test.why, 1));
        }
        for one in unavailable {
            let _ = writeln!(text, "      -  unavailable {one}");
        }
        for test in &self.failed {
            let why = first_lines(&test.why, LINES);
            let _ = writeln!(text, "{:7.1}s FAILED      {}\n  {}", test.seconds, test.name, why.replace('\n', "\n  "));
        }
        let [passed, failed, skipped] = [&self.passed, &self.failed, &self.skipped].map(Vec::len);
        let _ = writeln!(
            text,
            "e2e: {passed} passed, {failed} failed, {skipped} skipped by themselves, {} left out as unavailable",
            unavailable.len()
        );
        text
    }
}

impl Spec {
    /// The name by which a regular expression finds it.
    fn name(&self) -> String {
        let mut words = self.container_hierarchy_texts.clone().unwrap_or_default();
        // What is around all tests has a kind, and no name.
        words.push(if self.leaf_node_text.is_empty() { &self.leaf_node_type } else { &self.leaf_node_text }.clone());
        words.join(" ")
    }
}

fn first_lines(text: &str, count: usize) -> String {
    text.lines().take(count).collect::<Vec<_>>().join("\n")
}

/// How many of these tests have all that they need, and those that have not.
pub(super) fn split(tests: Vec<String>, missing: &[Missing]) -> (usize, Vec<Unavailable>) {
    let count = tests.len();
    let unavailable: Vec<_> = tests
        .into_iter()
        .filter_map(|test| {
            let needed = missing.iter().find(|missing| missing.tests.iter().any(|part| test.contains(part)))?;
            Some(Unavailable { test, image: needed.image.clone(), why: needed.why.clone() })
        })
        .collect();
    (count - unavailable.len(), unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"[{"SuiteSucceeded": false, "SpecialSuiteFailureReasons": ["Interrupted by User"], "SpecReports": [
        {"ContainerHierarchyTexts": null, "LeafNodeType": "SynchronizedBeforeSuite", "LeafNodeText": "", "State": "passed"},
        {"ContainerHierarchyTexts": ["[sig-x] A", "b"], "LeafNodeType": "It", "LeafNodeText": "c", "State": "passed", "RunTime": 1500000000},
        {"ContainerHierarchyTexts": ["[sig-x] A"], "LeafNodeType": "It", "LeafNodeText": "d", "State": "timedout", "Failure": {"Message": "too\nlate"}},
        {"ContainerHierarchyTexts": ["[sig-x] A"], "LeafNodeType": "It", "LeafNodeText": "e", "State": "skipped", "Failure": {"Message": "not here"}},
        {"ContainerHierarchyTexts": ["[sig-x] A"], "LeafNodeType": "It", "LeafNodeText": "f", "State": "skipped"}]}]"#;

    #[test]
    fn what_ran_and_what_skipped_itself_is_told_apart_from_what_was_not_asked_for() {
        let report = Report::of(serde_json::from_str(REPORT).expect("a report"));
        let names = |tests: &[Test]| tests.iter().map(|test| test.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&report.passed), ["[sig-x] A b c"]);
        assert_eq!(report.passed[0].seconds, 1.5);
        assert_eq!(names(&report.failed), ["[sig-x] A d"]);
        assert_eq!(names(&report.skipped), ["[sig-x] A e"]);
        assert_eq!(report.reasons, ["Interrupted by User"]);
        let summary = report.summary(&[]);
        assert!(summary.contains("skipped     [sig-x] A e: not here\n"), "{summary}");
        assert!(
            summary.ends_with("1 passed, 1 failed, 1 skipped by themselves, 0 left out as unavailable\n"),
            "{summary}"
        );
    }

    #[test]
    fn a_test_that_needs_what_is_missing_is_named_with_the_reason() {
        let missing = Missing { image: "i".to_owned(), why: "w".to_owned(), tests: vec!["[Driver: nfs]".to_owned()] };
        let tests = ["a [Driver: nfs] b", "a b"].map(str::to_owned).into();
        let (available, unavailable) = split(tests, &[missing]);
        assert_eq!(available, 1);
        assert_eq!(unavailable[0].to_string(), "a [Driver: nfs] b: it needs i: w");
    }
}
