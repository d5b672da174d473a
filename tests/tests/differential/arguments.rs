//! CNI_ARGS, CNI_IFNAME and CNI_PATH, the path of the network namespace, and the rest of the environment.

use super::case::{Case, chain};
use super::reason::Reason;

pub(crate) fn cases() -> Vec<Case> {
    let args = [
        "",
        "IP=10.1.0.9",
        "A=1;B=2",
        "IgnoreUnknown=1;K8S_POD_NAME=web;K8S_POD_NAMESPACE=a",
        "A=b c",
        "A=\u{e9}",
        "A=1;A=2",
        "A=",
        "=1",
        "A",
        "A=1;",
        ";A=1",
        "A=1;;B=2",
        "A=1=2",
        ";",
        "=",
        "A =1",
        " ",
    ];
    let if_names = ["net1", "a", "eth0.100", "fifteen-letters", "a%d", "\u{e9}th0", "-"];
    let no_names = ["sixteen-letters-", "", ".", "..", "a/b", "a:1", "a b", "a\tb", "a\u{a0}b"];
    let paths = [
        "@/bin",
        "@/bin:@/nowhere",
        "@/nowhere:@/bin",
        "@/net.d:@/bin",
        "@/bin/",
        "@/bin/../bin",
        "@/bin:",
        ":@/bin",
        "@/nowhere::@/bin",
        "",
        ":",
        "@/nowhere",
        "@/net.d/10.conflist",
    ];
    let args = args.into_iter().map(|args| case("CNI_ARGS", args));
    let if_names = if_names.into_iter().map(|name| case("CNI_IFNAME", name));
    let no_names = no_names.into_iter().map(|name| {
        // As is an argument that is none, it is refused for each verb.
        case("CNI_IFNAME", name).instead(Reason::Names, |case| case.env("CNI_ARGS", "="))
    });
    let taken = case("CNI_IFNAME", "lo").because(Reason::UnaddedCheck);
    let taken = taken.instead(Reason::TakenName, |case| case.steps("refused check del"));
    let paths = paths.into_iter().map(|path| case("CNI_PATH", path));
    args.chain(if_names).chain(no_names).chain([taken]).chain(paths).chain(netns()).chain(inherited()).collect()
}

/// The path of the network namespace, which becomes absolute before the container's id is made from it.
fn netns() -> impl Iterator<Item = Case> {
    let paths = [
        "netns/mine",
        "./netns/mine",
        "/run//netns/./mine",
        "/run/netns/mine/",
        "//run/netns/mine",
        "/run/netns/../netns/mine",
    ];
    paths
        .into_iter()
        .map(|netns| Case { netns, ..Case::new(format!("NETNS {netns}"), "1.0.0", &chain(2), "add check del") })
}

/// What is in the environment already, and must not reach the plugins, or must.
fn inherited() -> impl Iterator<Item = Case> {
    let inherited = |case: Case| {
        let case = case.env("CNI_COMMAND", "DEL").env("CNI_CONTAINERID", "other").env("CNI_NETNS", "/run/netns/other");
        case.env("CNI_NETNS_OVERRIDE", "1").env("MORE", "a=b")
    };
    let case = inherited(Case::new("CNI's own variables in the environment", "1.1.0", &chain(2), "add check del"));
    let gc = inherited(Case::new("the same with gc", "1.1.0", &chain(2), "add lose-netns gc"));
    [case, gc.because(Reason::ValidAttachments)].into_iter()
}

fn case(variable: &'static str, value: &str) -> Case {
    Case::new(format!("{variable}={value:?}"), "1.0.0", &chain(2), "add check del").env(variable, value)
}
