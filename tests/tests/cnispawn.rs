//! cnispawn on the real kernel, with real plugins and systemd-nspawn. Each test is a host of its own
//! ([`tests::isolate`]), so that they run side by side and beside a real cluster.

mod cnispawn {
    mod containers;
    mod desktop;
    mod ends;
    mod errors;
    mod hostile;
    mod runs;
    mod verbs;
}
