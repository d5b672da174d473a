//! Verbs in other orders, and on what has been lost or damaged in between.

use super::case::{Case, chain};
use super::reason::Reason;

pub(crate) fn cases() -> Vec<Case> {
    let sequences = [
        ("del", None),
        ("check", Some(Reason::UnaddedCheck)),
        ("del del", None),
        ("add add del", None),
        ("add second-interface del", None),
        ("add del add del", None),
        ("add check check del check", Some(Reason::UnaddedCheck)),
        ("add del check", Some(Reason::UnaddedCheck)),
        ("add lose-netns check del", None),
        ("lose-netns del", None),
        ("add damage-cache check del", None),
        ("add damage-cache del check", Some(Reason::UnaddedCheck)),
        ("add damage-cache add del", None),
        ("add bare-cache check del", None),
        ("add lose-plugins check del", None),
        ("lose-plugins del", None),
        ("add forget-env check del", None),
        ("add second-interface add check del", None),
        // One tool after the other, either way.
        ("add their-check their-del", None),
        ("their-add check del", None),
        ("their-add del their-check", None),
        ("their-add their-del add del", None),
    ];
    let mut cases = Vec::new();
    for version in ["0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let case = |steps| {
            let case = Case::new(format!("version {version}: {steps}"), version, &chain(2), steps);
            case.env("CNI_ARGS", "A=1").env("CAP_ARGS", r#"{"mac": "x"}"#)
        };
        for (steps, reason) in sequences {
            // Before 0.4.0 there was no CHECK.
            let reason = reason.filter(|_| version >= "0.4.0");
            cases.push(reason.into_iter().fold(case(steps), Case::because));
        }
        let netns = case("lose-netns add del");
        cases.push(netns.instead(Reason::Netns, |case| case.steps("lose-netns refused del")));
    }
    cases
}
