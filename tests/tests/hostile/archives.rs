//! Archives of programs, as upstream's server sends them: unpacked, they are the programs that were wanted, or nothing.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use nodectl::image::unpack;
use proptest::prelude::*;
use proptest::sample::select;
use tar::{EntryType, Header};

use super::ground::{Ground, tell, try_all};
use super::words::word;

pub(super) const CASES: u32 = 200;

const WANTED: [&str; 2] = ["kubeadm", "ctr"];

const KINDS: [EntryType; 9] = [
    EntryType::Regular,
    EntryType::Regular,
    EntryType::Link,
    EntryType::Symlink,
    EntryType::Char,
    EntryType::Block,
    EntryType::Directory,
    EntryType::Fifo,
    EntryType::GNUSparse,
];

/// A member as it comes: no library that writes tar files would write all of these.
#[derive(Clone, Debug)]
struct Member {
    kind: EntryType,
    name: String,
    target: String,
    size: u64,
    mode: u32,
    content: Vec<u8>,
}

fn member() -> impl Strategy<Value = Member> {
    let name = prop_oneof![
        3 => select(&WANTED[..]).prop_map(str::to_owned),
        2 => select(&["../ctr", "../../outside/passwd", "bin/../../../outside/ctr", "/ctr", "bin/ctr/..", "ctr/kubeadm"][..])
            .prop_map(str::to_owned),
        1 => word(),
    ];
    let size = prop_oneof![4 => 0_u64..2000, 1 => any::<u64>()];
    let parts = (select(&KINDS[..]), name, word(), size, any::<u32>(), prop::collection::vec(any::<u8>(), 0..2000));
    parts.prop_map(|(kind, name, target, size, mode, content)| Member { kind, name, target, size, mode, content })
}

impl Member {
    fn write(&self, outside: &str, tar: &mut Vec<u8>) {
        let mut header = Header::new_gnu();
        header.set_entry_type(self.kind);
        header.set_mode(self.mode);
        header.set_size(self.size);
        let gnu = header.as_gnu_mut().expect("made so");
        for (field, text) in [(&mut gnu.name, &self.name), (&mut gnu.linkname, &self.target)] {
            let text = text.replace("OUTSIDE", outside);
            let length = text.len().min(field.len());
            field[..length].copy_from_slice(&text.as_bytes()[..length]);
        }
        header.set_cksum();
        tar.extend(header.as_bytes());
        let mut content = self.content.clone();
        // As long as it says, if that can be; else cut short.
        content.resize(usize::try_from(self.size).unwrap_or(usize::MAX).min(2000), 0);
        tar.extend(&content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).expect("written");
    gzip.finish().expect("written")
}

#[test]
fn an_archive_leaves_the_wanted_programs_or_nothing() {
    Ground::with(|ground| {
        let outside = ground.outside().display().to_string();
        let (archive, to) = (ground.path("state/archive"), ground.path("state/half"));
        let mut whole = 0;
        let damage = prop_oneof![2 => Just(None), 1 => any::<(u16, bool)>().prop_map(Some)];
        try_all(CASES, (prop::collection::vec(member(), 1..6), damage), |(members, damage)| {
            ground.clear();
            fs::create_dir_all(&to).expect("made");
            let mut tar = Vec::new();
            members.iter().for_each(|member| member.write(&outside, &mut tar));
            tar.resize(tar.len() + 1024, 0);
            let mut bytes = gzip(&tar);
            match damage {
                Some((at, true)) => bytes.truncate(usize::from(at) % bytes.len()),
                Some((at, false)) => bytes[usize::from(at) % tar.len().min(32)] ^= 0x55,
                None => {}
            }
            fs::write(&archive, bytes).expect("written");
            whole += u32::from(unpack::files(&archive, &WANTED, &to).is_ok());
            for entry in fs::read_dir(&to).expect("there") {
                let entry = entry.expect("read");
                assert!(WANTED.iter().any(|name| entry.file_name() == *name), "{entry:?}");
                assert!(entry.file_type().expect("read").is_file(), "{entry:?} is no program");
            }
            ground.assert_unchanged();
        });
        tell(&format!("hostile: {CASES} archives, {whole} of them whole"));
    });
}

#[test]
fn a_link_is_not_written_through_and_a_bomb_does_not_go_off() {
    Ground::with(|ground| {
        let outside = ground.outside();
        let (archive, to) = (ground.path("state/archive"), ground.path("state/half"));
        fs::create_dir_all(&to).expect("made");
        let member = |kind, target: &str, size| Member {
            kind,
            name: "ctr".to_owned(),
            target: target.to_owned(),
            size,
            mode: 0o7777,
            content: b"program".to_vec(),
        };
        let mut tar = Vec::new();
        for kind in [EntryType::Symlink, EntryType::Link] {
            for target in [outside.join("passwd").display().to_string(), "../../outside/passwd".to_owned()] {
                member(kind, &target, 0).write("", &mut tar);
                member(EntryType::Regular, "", 7).write("", &mut tar);
            }
        }
        fs::write(&archive, gzip(&tar)).expect("written");
        // A link that was there before, too.
        std::os::unix::fs::symlink(outside.join("passwd"), to.join("ctr")).expect("linked");
        unpack::files(&archive, &WANTED, &to).expect("unpacked");
        assert_eq!(fs::read_to_string(to.join("ctr")).expect("read"), "program");
        assert!(!to.join("ctr").is_symlink());
        ground.assert_unchanged();

        let mut bomb = Vec::new();
        member(EntryType::Regular, "", 1 << 40).write("", &mut bomb);
        fs::write(&archive, gzip(&bomb)).expect("written");
        let error = foundation::error_chain(&unpack::files(&archive, &WANTED, &to).expect_err("too large"));
        assert!(error.contains("file too large"), "{error}");
    });
}
