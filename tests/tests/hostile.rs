//! What comes from outside, made to do harm: records, inventories, what lies in the state directory, archives, servers.
//! The real programs take it on a host of their own, where all but the test's directory is read-only, and never panic,
//! never end by a signal, tell their error once, and write nothing outside of their state directory.

mod hostile {
    mod archives;
    mod disk;
    mod ground;
    mod inventories;
    mod records;
    mod servers;
    mod stores;
    mod words;

    /// All generated cases, of which there must be enough to mean something.
    #[test]
    fn there_are_at_least_five_hundred_cases() {
        let cases = [records::CASES, inventories::CASES, disk::CASES, archives::CASES, stores::CASES];
        let all = cases.iter().sum::<u32>();
        ground::tell(&format!("hostile: {all} generated cases, and the lists beside them"));
        assert!(all >= 500, "only {all}");
    }
}
