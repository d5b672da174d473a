//! What users install: the tree of `make install`, the packages made of it, and what `setup` adds to a host.

mod install {
    mod deb;
    mod make;
    mod packages;
    mod rpm;
    mod setup;
    mod tree;
}
