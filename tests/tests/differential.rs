//! cnispawn beside cnitool: the same configurations, plugins and verbs, and all that each tool did compared.
//!
//! A difference fails the test, unless the case lists it with a reason ([`differential::reason`] has them all); a listed
//! one that is none fails it as well. At the end the number of cases is told, of those equal, and of those that differ
//! for each reason.

mod differential {
    mod arguments;
    mod capabilities;
    mod case;
    mod chains;
    mod collection;
    mod compare;
    mod conversions;
    mod discovery;
    mod excuse;
    mod failures;
    mod host;
    mod judge;
    mod reason;
    mod results;
    mod seen;
    mod sequences;
    mod shapes;
    mod tools;
    mod versions;
}
