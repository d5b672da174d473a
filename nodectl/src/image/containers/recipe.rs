//! What a recipe of a container image can say.

/// What is in a container image, and what it runs.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// The image's name below registry.k8s.io, or the last part of it; several for images that are the same here.
    pub(super) names: &'static [&'static str],
    /// Programs of the table of projects, and their places.
    pub(super) programs: &'static [(&'static str, &'static str)],
    /// One that is run as root by every user.
    pub(super) setuid: Option<(&'static str, &'static str)>,
    /// Debian's packages, beside the essential ones, that the rest is taken from.
    pub(super) packages: &'static [&'static str],
    /// Whether it has bash, as `sh`, and busybox under all its names.
    pub(super) has_shell: bool,
    /// Other programs of Debian, below usr.
    pub(super) tools: &'static [&'static str],
    /// Directories below usr/lib/TRIPLET with libraries that those load by dlopen(3).
    pub(super) plugins: &'static [&'static str],
    /// Other files of Debian.
    pub(super) data: &'static [&'static str],
    /// Files of Kubernetes' test/images, and their places.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Files of ours, with their content.
    pub(super) texts: &'static [(&'static str, &'static str)],
    /// Links, and where they lead.
    pub(super) links: &'static [(&'static str, &'static str)],
    /// Directories that must exist, writable for all.
    pub(super) directories: &'static [&'static str],
    /// The program, if there is one beside the command.
    pub(super) entrypoint: &'static str,
    /// What is run, or given to the program, when a pod says nothing.
    pub(super) command: &'static [&'static str],
    /// The user that it runs as; root if empty.
    pub(super) user: &'static str,
}

/// What a recipe need not say.
pub(super) const EMPTY: Recipe = Recipe {
    names: &[],
    programs: &[],
    setuid: None,
    packages: &[],
    has_shell: false,
    tools: &[],
    plugins: &[],
    data: &[],
    files: &[],
    texts: &[],
    links: &[],
    directories: &[],
    entrypoint: "",
    command: &[],
    user: "",
};

impl Recipe {
    /// The programs of the table of projects that it needs.
    pub(crate) fn built(&self) -> impl Iterator<Item = &'static str> {
        self.programs.iter().chain(&self.setuid).map(|(program, _)| *program)
    }

    /// Whether programs of Debian are in it, with the libraries that they load.
    pub(super) fn has_debians_programs(&self) -> bool {
        self.has_shell || !self.tools.is_empty()
    }
}
