//! What is in each of the suite's images: programs of Kubernetes' own test/images, and where upstream's Dockerfiles
//! there begin with Alpine or BusyBox, bash, busybox and a few programs of Debian.

/// Where the suite's images are; what follows is the name of a recipe.
pub(super) const REGISTRY: &str = "registry.k8s.io/e2e-test-images/";

/// Debian's packages, beside the essential ones, that the images have programs of.
pub(super) const PACKAGES: [&str; 12] = [
    "bash",
    "bind9-dnsutils",
    // Linked dynamically: the static one of Debian crashes when it resolves a name, in glibc's NSS.
    "busybox",
    "ca-certificates",
    "curl",
    "iperf",
    "iproute2",
    "netbase",
    "netcat-openbsd",
    "nginx-light",
    "socat",
    "stress",
];

/// An image's content.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// Programs that Go builds, and their places.
    pub(super) programs: &'static [(&'static str, &'static str)],
    /// One that is run as root, whoever runs it.
    pub(super) setuid: Option<(&'static str, &'static str)>,
    /// Whether it has bash, as `sh`, and busybox under all its names.
    pub(super) has_shell: bool,
    /// Other programs of Debian, below usr.
    pub(super) tools: &'static [&'static str],
    /// Other files of Debian.
    pub(super) data: &'static [&'static str],
    /// Files of Kubernetes' test/images, and their places.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Files of ours.
    pub(super) texts: &'static [(&'static str, &'static str)],
    /// Links, and where they lead.
    pub(super) links: &'static [(&'static str, &'static str)],
    /// Directories that must be there, writable for all.
    pub(super) directories: &'static [&'static str],
    /// The program, if there is one beside the command.
    pub(super) entrypoint: &'static str,
    /// What is run, or given to the program, when a pod says nothing.
    pub(super) command: &'static [&'static str],
    /// Whose processes it has.
    pub(super) user: &'static str,
}

impl Recipe {
    /// The programs that Go builds for it.
    pub(super) fn built(&self) -> impl Iterator<Item = &'static str> {
        self.programs.iter().chain(&self.setuid).map(|(program, _)| *program)
    }
}

const AGNHOST: Recipe = Recipe {
    programs: &[("agnhost", "agnhost")],
    links: &[("agnhost-2", "agnhost")],
    has_shell: true,
    tools: &[
        "bin/curl",
        "bin/dig",
        "bin/getent",
        "bin/host",
        "bin/iperf",
        "bin/ip",
        "bin/nc",
        "bin/nsenter",
        "bin/nslookup",
        "bin/socat",
        "bin/ss",
        "bin/unshare",
    ],
    data: &["etc/ssl/certs/ca-certificates.crt", "etc/protocols", "etc/services"],
    files: &[("agnhost/porter/localhost.crt", "localhost.crt"), ("agnhost/porter/localhost.key", "localhost.key")],
    texts: &[
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n\
             user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n",
        ),
        (
            "etc/group",
            "root:x:0:\nnogroup:x:65534:\nuser-defined-in-image:x:1000:\n\
             group-defined-in-image:x:50000:user-defined-in-image\n",
        ),
    ],
    directories: &["uploads", "home/user-defined-in-image"],
    entrypoint: "/agnhost",
    command: &["pause"],
    ..EMPTY
};

const DNS: Recipe = Recipe {
    has_shell: true,
    tools: &["bin/dig", "bin/getent", "bin/host", "bin/nslookup"],
    command: &["sh"],
    ..EMPTY
};

const NGINX: Recipe = Recipe {
    has_shell: true,
    tools: &["sbin/nginx"],
    data: &["etc/nginx/mime.types"],
    texts: &[
        (
            "etc/nginx/nginx.conf",
            "user nobody nogroup;\npid /run/nginx.pid;\nerror_log /dev/stderr;\nevents {}\nhttp {\n  \
             include mime.types;\n  access_log /dev/stdout;\n  server {\n    listen 80;\n    \
             root /usr/share/nginx/html;\n  }\n}\n",
        ),
        ("usr/share/nginx/html/index.html", "<!DOCTYPE html>\n<h1>Welcome to nginx!</h1>\n"),
    ],
    directories: &["var/lib/nginx", "var/log/nginx", "run"],
    command: &["nginx", "-g", "daemon off;"],
    ..EMPTY
};

const EMPTY: Recipe = Recipe {
    programs: &[],
    setuid: None,
    has_shell: false,
    tools: &[],
    data: &[],
    files: &[],
    texts: &[],
    links: &[],
    directories: &[],
    entrypoint: "",
    command: &[],
    user: "",
};

/// The recipe of an image, by its name in the registry.
pub(super) fn find(name: &str) -> Option<Recipe> {
    Some(match name {
        // Its older tag, which tests update to or from, is the same program here.
        "agnhost" => AGNHOST,
        "kitten" => Recipe {
            files: &[("kitten/html/kitten.jpg", "kitten.jpg"), ("kitten/html/data.json", "data.json")],
            command: &["test-webserver"],
            ..AGNHOST
        },
        "nautilus" => Recipe {
            files: &[("nautilus/html/nautilus.jpg", "nautilus.jpg"), ("nautilus/html/data.json", "data.json")],
            command: &["test-webserver"],
            ..AGNHOST
        },
        "busybox" => Recipe { has_shell: true, command: &["sh"], ..EMPTY },
        "nonroot" => Recipe { has_shell: true, command: &["sh"], user: "1234", ..EMPTY },
        "ipc-utils" => {
            Recipe { has_shell: true, tools: &["bin/ipcs", "bin/ipcmk", "bin/ipcrm"], command: &["sh"], ..EMPTY }
        }
        "glibc-dns-testing" | "jessie-dnsutils" => DNS,
        "nginx" => NGINX,
        // A server of files on port 80 is all that tests want of it.
        "httpd" => Recipe {
            has_shell: true,
            texts: &[("usr/local/apache2/htdocs/index.html", "<html><body><h1>It works!</h1></body></html>\n")],
            command: &["busybox", "httpd", "-f", "-p", "80", "-h", "/usr/local/apache2/htdocs"],
            ..EMPTY
        },
        "nonewprivs" => {
            Recipe { setuid: Some(("nonewprivs", "usr/local/bin/nnp")), has_shell: true, command: &["nnp"], ..EMPTY }
        }
        "regression-issue-74839" => Recipe {
            programs: &[("regression-issue-74839", "regression-issue-74839")],
            entrypoint: "/regression-issue-74839",
            ..EMPTY
        },
        "resource-consumer" => Recipe {
            programs: &[("resource-consumer", "consumer"), ("consume-cpu", "consume-cpu")],
            has_shell: true,
            tools: &["bin/stress"],
            entrypoint: "/consumer",
            ..EMPTY
        },
        "sample-apiserver" => {
            Recipe { programs: &[("sample-apiserver", "sample-apiserver")], entrypoint: "/sample-apiserver", ..EMPTY }
        }
        "sample-device-plugin" => Recipe {
            programs: &[("sample-device-plugin", "sampledeviceplugin")],
            entrypoint: "/sampledeviceplugin",
            command: &["-alsologtostderr"],
            ..EMPTY
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_runs_something_that_is_in_it() {
        for name in [
            "agnhost",
            "busybox",
            "glibc-dns-testing",
            "httpd",
            "ipc-utils",
            "kitten",
            "nautilus",
            "nginx",
            "nonewprivs",
            "nonroot",
            "regression-issue-74839",
            "resource-consumer",
            "sample-apiserver",
            "sample-device-plugin",
        ] {
            let recipe = find(name).expect(name);
            let programs = recipe.programs.iter().chain(&recipe.setuid).map(|(_, place)| *place);
            let places: Vec<_> = programs.chain(recipe.tools.iter().copied()).collect();
            let first = if recipe.entrypoint.is_empty() { recipe.command[0] } else { recipe.entrypoint };
            let is_there = |place: &&str| place.rsplit('/').next() == first.rsplit('/').next();
            assert!(
                recipe.has_shell && ["busybox", "sh"].contains(&first) || places.iter().any(is_there),
                "{name}: {first} is not among {places:?}"
            );
        }
        assert!(find("volume/nfs").is_none());
    }
}
