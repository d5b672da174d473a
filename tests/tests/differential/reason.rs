//! Why we differ from cnitool, where we do. Sections are those of SPEC.md 1.1.0.

/// A reason to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    Rollback,
    FirstFind,
    Netns,
    TakenName,
    Names,
    UnaddedCheck,
    DelGoesOn,
    DelAgain,
    PartialResult,
    Converted,
    NoResult,
    UnknownFields,
    AsWritten,
    ExactNumbers,
    Opaque,
    Types,
    Spelling,
    Neighbour,
    ValidAttachments,
    LiveAttachments,
    StatusVersions,
    StatusUnspoken,
    StatusGoesOn,
}

/// All of them, with what sides with us.
pub(crate) const REASONS: [(Reason, &str); 23] = [
    (Reason::Rollback, "section 3, Lifecycle: \"A delete must still be executed even if the add fails\""),
    (
        Reason::FirstFind,
        "section 3, Adding: a missing or unusable program \"is an error\", told before another has made anything",
    ),
    (
        Reason::Netns,
        "section 3, Lifecycle: the runtime \"must create a new network namespace\" before it invokes a plugin",
    ),
    (
        Reason::TakenName,
        "section 2, ADD: it is an error when the interface exists; its DEL would delete what is another's",
    ),
    (Reason::Names, "sections 1 and 2 say what a name may be: for each verb, so for CHECK and DEL as for ADD"),
    (Reason::UnaddedCheck, "section 2, CHECK: must not be called for what was not added, and must have a prevResult"),
    (
        Reason::DelGoesOn,
        "section 3, Deleting, halts at an error; but nobody undoes then what the other plugins hold. The error is told",
    ),
    (
        Reason::DelAgain,
        "section 5, code 11: \"re-try the operation later\"; nobody comes after gc, so it tries five times",
    ),
    (
        Reason::PartialResult,
        "no section: the DEL after an ADD that failed midway has the last result of it, for what there is to delete",
    ),
    (
        Reason::Converted,
        "section 5: a result's cniVersion is \"the same version supplied on input\", for the next plugin and the cache",
    ),
    (
        Reason::NoResult,
        "section 5: a result is an object, its interfaces have names, its addresses and routes are such",
    ),
    (
        Reason::UnknownFields,
        "section 5: what a plugin adds to a result is not lost on the way to the next, or to the user",
    ),
    (Reason::AsWritten, "section 3, Deriving: \"passed through unaltered\"; so are addresses in a result"),
    (Reason::ExactNumbers, "section 3, Deriving: \"passed through unaltered\", not rounded to a double"),
    (Reason::Opaque, "section 1: `ipam` and `dns` \"are not used by the protocol\": the plugin judges them"),
    (
        Reason::Types,
        "section 1 gives each key a type, and null is of none; to Go's encoding/json it is as good as no key",
    ),
    (Reason::Spelling, "section 1: the key is `type`; to Go's encoding/json, `Type` is as good"),
    (Reason::Neighbour, "no section: another network's malformed file takes no network down. It is warned of"),
    (Reason::ValidAttachments, "section 2, GC: the input \"contains an additional key\", `cni.dev/valid-attachments`"),
    (
        Reason::LiveAttachments,
        "section 2, GC: \"still valid attachments\" are kept. cnitool names none as valid, and deletes those in use",
    ),
    (Reason::StatusVersions, "section 1, Version considerations: VERSION may be asked; the answers are printed"),
    (Reason::StatusUnspoken, "no section: a plugin that does not speak the network's version cannot serve ADD"),
    (Reason::StatusGoesOn, "no section: each plugin is asked, so that all that keeps a network from working is told"),
];
