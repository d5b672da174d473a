//! SIGKILL at every step: a command is killed before each of its system calls that change something, one after the
//! other; then the command that heals is run, and the host is compared. `make test-crash` tries them all.

mod crash {
    mod container;
    mod node;
    mod steps;
}
