//! hack/packages, read by the test itself.

use std::fs;

use super::make::workspace;

/// The package managers, in the table's order.
pub(super) const MANAGERS: [&str; 4] = ["apt", "dnf", "pacman", "zypper"];

/// The packages that a manager installs for these kinds of need, in the table's order, each once.
pub(super) fn packages(manager: &str, kinds: &[&str]) -> Vec<String> {
    let table = fs::read_to_string(workspace().join("hack/packages")).expect("a table");
    let column = 1 + MANAGERS.iter().position(|&other| other == manager).expect("a package manager");
    let rows = table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().collect());
    let mut packages = Vec::new();
    for row in rows.filter(|row: &Vec<&str>| kinds.contains(&row[0])) {
        assert_eq!(row.len(), 6, "{row:?}");
        let package = row[column].to_owned();
        if package != "-" && !packages.contains(&package) {
            packages.push(package);
        }
    }
    assert!(!packages.is_empty(), "no packages of {manager} for {kinds:?}");
    packages
}
