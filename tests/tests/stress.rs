//! cnispawn often and at once, killed at any moment: on the real kernel, with real plugins and systemd-nspawn, nothing
//! accumulates. Each test tells what it has seen.

mod stress {
    mod cycles;
    mod ends;
    mod kills;
    mod random;
    mod tell;
}
