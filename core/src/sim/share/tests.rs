use super::*;

#[test]
fn what_is_done_in_a_shared_cluster_depends_on_its_seed_alone() {
    for trouble in [Trouble::None, Trouble::All] {
        assert_eq!(run_share(7, trouble).unwrap(), run_share(7, trouble).unwrap());
    }
}
