//! Compare what the two tools were seen to do, and hold it against what a case says.

use std::fmt::Write;

use super::case::Case;
use super::reason::Reason;
use super::seen::{KINDS, Seen};

/// What was seen of a case.
pub(crate) struct Sights {
    /// cnitool.
    pub(crate) theirs: Vec<Seen>,
    /// cnitool, in the case that explains ours.
    pub(crate) instead: Option<Vec<Seen>>,
    /// cnispawn.
    pub(crate) ours: Vec<Seen>,
}

/// Whether there is each difference that the case gives a reason for, and no other; if not, what is wrong.
pub(crate) fn judge(case: &Case, sights: &Sights) -> Result<(), String> {
    let Sights { theirs, instead, ours } = sights;
    let expected = instead.as_ref().unwrap_or(theirs);
    let mut wrong = difference(case, expected, ours, &case.reasons);
    for (at, reason) in case.reasons.iter().enumerate() {
        let others = [&case.reasons[..at], &case.reasons[at + 1..]].concat();
        if difference(case, expected, ours, &others).is_empty() {
            let _ = writeln!(wrong, "{}: {reason:?} is listed, and explains no difference", case.name);
        }
    }
    if let Some((reason, _)) = &case.instead
        && difference(case, theirs, ours, &case.reasons).is_empty()
    {
        let _ = writeln!(wrong, "{}: {reason:?} is listed, and cnitool does the same", case.name);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// What is left after `reasons` have excused theirs.
fn difference(case: &Case, theirs: &[Seen], ours: &[Seen], reasons: &[Reason]) -> String {
    let mut text = String::new();
    for (number, verb) in case.steps.iter().enumerate() {
        let (mut theirs, mut ours) = (theirs[number].clone(), ours[number].clone());
        for reason in reasons {
            reason.excuse(verb, &mut theirs, &mut ours);
        }
        for kind in KINDS {
            let (their, our) = (theirs.part(kind), ours.part(kind));
            if their != our {
                let _ = writeln!(text, "{}, step {number} ({verb}), {kind:?}:", case.name);
                let _ =
                    writeln!(text, "  cnitool:  {their}\n  cnispawn: {our}\n  {}\n  {}", theirs.stderr, ours.stderr);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::differential::case::chain;

    fn seen(succeeded: bool, commands: &[&str]) -> Seen {
        let runs = commands.iter().map(|command| json!({"plugin": "one", "env": {"CNI_COMMAND": command}})).collect();
        Seen { succeeded, runs, ..Seen::default() }
    }

    fn judged(reasons: &[Reason], theirs: Seen, ours: Seen) -> Result<(), String> {
        let case = Case::new("case", "1.0.0", &chain(1), "add");
        let case = reasons.iter().fold(case, |case, &reason| case.because(reason));
        judge(&case, &Sights { theirs: vec![theirs], instead: None, ours: vec![ours] })
    }

    #[test]
    fn a_difference_needs_a_reason_and_a_reason_a_difference() {
        let (failed, undone) = (seen(false, &["ADD"]), seen(false, &["ADD", "DEL"]));
        judged(&[], failed.clone(), failed.clone()).expect("equal");
        judged(&[Reason::Rollback], failed.clone(), undone.clone()).expect("different for the reason");
        let error = judged(&[], failed.clone(), undone.clone()).expect_err("no reason");
        assert!(error.contains("step 0 (add), Runs:\n  cnitool:  [{"), "{error}");
        let error = judged(&[Reason::Rollback], failed.clone(), failed.clone()).expect_err("no difference");
        assert!(error.contains("Rollback is listed, and explains no difference"), "{error}");
        judged(&[Reason::DelGoesOn], failed, undone).expect_err("another reason");
    }

    #[test]
    fn a_reason_excuses_no_more_than_it_says() {
        let failed = seen(false, &["ADD"]);
        judged(&[Reason::Rollback], failed.clone(), seen(false, &["ADD", "ADD", "DEL"])).expect_err("a second ADD");
        judged(&[Reason::Rollback], failed.clone(), seen(true, &["ADD", "DEL"])).expect_err("success");
        judged(&[Reason::Rollback], failed, seen(false, &["ADD", "CHECK", "DEL"])).expect_err("a CHECK");
    }
}
