//! The one table of container images: kubeadm's, and those of Kubernetes' end-to-end tests. A row brings an image.
//!
//! The tests' images have programs of Kubernetes' own test/images, and where upstream's Dockerfiles there begin with
//! Alpine or BusyBox, bash, busybox and a few programs of Debian.

use super::recipe::{EMPTY, Recipe};

/// Where the images are.
const REGISTRY: &str = "registry.k8s.io/";

/// The begin of the names of the tests' own images.
const OF_TESTS: &str = "e2e-test-images/";

const CERTIFICATES: &[&str] = &["etc/ssl/certs/ca-certificates.crt"];

/// Users of an image without a shell.
const NONROOT: &[(&str, &str)] = &[
    ("etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"),
    ("etc/group", "root:x:0:\nnonroot:x:65532:\n"),
];

/// A program with the certificates of authorities.
const SERVER: Recipe = Recipe { packages: &["ca-certificates"], data: CERTIFICATES, texts: NONROOT, ..EMPTY };

/// bash, linked dynamically as busybox: Debian's static one crashes when it resolves a name, in glibc's NSS.
const SHELL: Recipe = Recipe { packages: &["bash", "busybox"], has_shell: true, command: &["sh"], ..EMPTY };

/// Its older tag, which tests update to or from, is the same program here.
const AGNHOST: Recipe = Recipe {
    names: &["e2e-test-images/agnhost"],
    packages: &[
        "bash",
        "bind9-dnsutils",
        "busybox",
        "ca-certificates",
        "curl",
        "iperf",
        "iproute2",
        "netbase",
        "netcat-openbsd",
        "socat",
    ],
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

static RECIPES: &[Recipe] = &[
    Recipe {
        names: &["kube-apiserver"],
        programs: &[("kube-apiserver", "usr/local/bin/kube-apiserver")],
        entrypoint: "/usr/local/bin/kube-apiserver",
        ..SERVER
    },
    Recipe {
        names: &["kube-controller-manager"],
        programs: &[("kube-controller-manager", "usr/local/bin/kube-controller-manager")],
        entrypoint: "/usr/local/bin/kube-controller-manager",
        ..SERVER
    },
    Recipe {
        names: &["kube-scheduler"],
        programs: &[("kube-scheduler", "usr/local/bin/kube-scheduler")],
        entrypoint: "/usr/local/bin/kube-scheduler",
        ..SERVER
    },
    // With the programs that it runs in each of its modes.
    Recipe {
        names: &["kube-proxy"],
        programs: &[("kube-proxy", "usr/local/bin/kube-proxy")],
        packages: &["ca-certificates", "conntrack", "iptables", "netbase", "nftables"],
        tools: &["sbin/nft", "sbin/conntrack", "sbin/xtables-nft-multi", "sbin/xtables-legacy-multi"],
        plugins: &["xtables"],
        data: &["etc/ssl/certs/ca-certificates.crt", "etc/protocols"],
        // The nft variant of iptables.
        links: &[
            ("usr/sbin/iptables", "xtables-nft-multi"),
            ("usr/sbin/iptables-save", "xtables-nft-multi"),
            ("usr/sbin/iptables-restore", "xtables-nft-multi"),
            ("usr/sbin/ip6tables", "xtables-nft-multi"),
            ("usr/sbin/ip6tables-save", "xtables-nft-multi"),
            ("usr/sbin/ip6tables-restore", "xtables-nft-multi"),
        ],
        entrypoint: "/usr/local/bin/kube-proxy",
        ..SERVER
    },
    Recipe {
        names: &["etcd"],
        programs: &[("etcd", "usr/local/bin/etcd"), ("etcdctl", "usr/local/bin/etcdctl")],
        entrypoint: "/usr/local/bin/etcd",
        ..SERVER
    },
    Recipe { names: &["coredns"], programs: &[("coredns", "coredns")], entrypoint: "/coredns", ..SERVER },
    Recipe { names: &["pause"], programs: &[("pause", "pause")], entrypoint: "/pause", texts: NONROOT, ..EMPTY },
    AGNHOST,
    Recipe {
        names: &["e2e-test-images/kitten"],
        files: &[("kitten/html/kitten.jpg", "kitten.jpg"), ("kitten/html/data.json", "data.json")],
        command: &["test-webserver"],
        ..AGNHOST
    },
    Recipe {
        names: &["e2e-test-images/nautilus"],
        files: &[("nautilus/html/nautilus.jpg", "nautilus.jpg"), ("nautilus/html/data.json", "data.json")],
        command: &["test-webserver"],
        ..AGNHOST
    },
    Recipe { names: &["e2e-test-images/busybox"], ..SHELL },
    Recipe { names: &["e2e-test-images/nonroot"], user: "1234", ..SHELL },
    Recipe { names: &["e2e-test-images/ipc-utils"], tools: &["bin/ipcs", "bin/ipcmk", "bin/ipcrm"], ..SHELL },
    Recipe {
        names: &["e2e-test-images/glibc-dns-testing", "e2e-test-images/jessie-dnsutils"],
        packages: &["bash", "bind9-dnsutils", "busybox"],
        tools: &["bin/dig", "bin/getent", "bin/host", "bin/nslookup"],
        ..SHELL
    },
    Recipe {
        names: &["e2e-test-images/nginx"],
        packages: &["bash", "busybox", "nginx-light"],
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
        ..SHELL
    },
    // A server of files on port 80 is all that tests want of it.
    Recipe {
        names: &["e2e-test-images/httpd"],
        texts: &[("usr/local/apache2/htdocs/index.html", "<html><body><h1>It works!</h1></body></html>\n")],
        command: &["busybox", "httpd", "-f", "-p", "80", "-h", "/usr/local/apache2/htdocs"],
        ..SHELL
    },
    Recipe {
        names: &["e2e-test-images/nonewprivs"],
        setuid: Some(("nonewprivs", "usr/local/bin/nnp")),
        command: &["nnp"],
        ..SHELL
    },
    Recipe {
        names: &["e2e-test-images/regression-issue-74839"],
        programs: &[("regression-issue-74839", "regression-issue-74839")],
        entrypoint: "/regression-issue-74839",
        ..EMPTY
    },
    Recipe {
        names: &["e2e-test-images/resource-consumer"],
        programs: &[("resource-consumer", "consumer"), ("consume-cpu", "consume-cpu")],
        packages: &["bash", "busybox", "stress"],
        tools: &["bin/stress"],
        entrypoint: "/consumer",
        command: &[],
        ..SHELL
    },
    Recipe {
        names: &["e2e-test-images/sample-apiserver"],
        programs: &[("sample-apiserver", "sample-apiserver")],
        entrypoint: "/sample-apiserver",
        ..EMPTY
    },
    Recipe {
        names: &["e2e-test-images/sample-device-plugin"],
        programs: &[("sample-device-plugin", "sampledeviceplugin")],
        entrypoint: "/sampledeviceplugin",
        command: &["-alsologtostderr"],
        ..EMPTY
    },
];

/// The recipe of an image, by its name below the registry: whichever registry kubeadm was told, its images are known by
/// the last part of their names.
pub(crate) fn find(name: &str) -> Option<&'static Recipe> {
    RECIPES.iter().find(|recipe| recipe.names.contains(&name))
}

/// The recipe of one of the tests' own images, by its name and tag.
pub(crate) fn of_tests(reference: &str) -> Option<&'static Recipe> {
    let (name, _) = reference.strip_prefix(REGISTRY)?.split_once(':')?;
    find(name).filter(|_| name.starts_with(OF_TESTS))
}

/// All packages of Debian that the tests' images are taken from: they share one tree.
pub(crate) fn packages_of_tests() -> Vec<&'static str> {
    let of_tests = RECIPES.iter().filter(|recipe| recipe.names.iter().any(|name| name.starts_with(OF_TESTS)));
    let mut packages: Vec<_> = of_tests.flat_map(|recipe| recipe.packages).copied().collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::programs::catalog::{E2E, with_program};
    use crate::image::root::os::NODE;

    #[test]
    fn every_image_runs_something_that_is_in_it() {
        for recipe in RECIPES {
            let programs = recipe.programs.iter().chain(&recipe.setuid).map(|(_, place)| *place);
            let places: Vec<_> = programs.chain(recipe.tools.iter().copied()).collect();
            let first = if recipe.entrypoint.is_empty() { recipe.command[0] } else { recipe.entrypoint };
            let is_there = |place: &&str| place.rsplit('/').next() == first.rsplit('/').next();
            assert!(
                recipe.has_shell && ["busybox", "sh"].contains(&first) || places.iter().any(is_there),
                "{:?}: {first} is not among {places:?}",
                recipe.names
            );
        }
    }

    #[test]
    fn every_program_of_an_image_is_in_the_table_of_projects() {
        for program in RECIPES.iter().flat_map(Recipe::built) {
            assert!(with_program(program).is_some() || E2E.names().contains(&program), "{program}");
        }
    }

    #[test]
    fn what_kubeadm_wants_is_taken_from_the_packages_of_a_node() {
        for name in
            ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd", "coredns", "pause"]
        {
            let recipe = find(name).expect(name);
            assert!(recipe.packages.iter().all(|package| NODE.packages.contains(package)), "{name}");
        }
        assert!(find("konnectivity").is_none());
    }

    #[test]
    fn images_of_tests_are_found_by_their_whole_names() {
        assert!(of_tests("registry.k8s.io/e2e-test-images/agnhost:2.53").is_some());
        assert!(of_tests("registry.k8s.io/e2e-test-images/volume/nfs:1.3").is_none());
        assert!(of_tests("registry.k8s.io/etcd:3.7.0-0").is_none());
    }
}
