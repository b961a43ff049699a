//! Which group gets which listener, and what is refused.

use super::*;

const KEY: &str = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh";

/// A config with upstreams `a`, `b` and `c`, and these listeners: port and names of upstreams.
fn config(listeners: &[(u16, &[&str])]) -> Config {
    let mut text = String::new();
    for name in ["a", "b", "c"] {
        text += &format!(
            "[[upstream]]\nname = \"{name}\"\nurl = \"stratum2+tcp://{name}.example.com:1/{KEY}\"\nuser = \"farm\"\n"
        );
    }
    for (port, upstreams) in listeners {
        text +=
            &format!("[[listener]]\naddress = \"127.0.0.1:{port}\"\nupstreams = {upstreams:?}\n");
    }
    Config::parse("farm.toml", &text).unwrap()
}

/// The plan for groups with these open ports and upstreams by their positions.
fn plan(groups: &[(&[u16], &[usize])], listeners: &[(u16, &[&str])]) -> Result<Plan, Vec<Refused>> {
    let after = config(listeners);
    let address = |port: &u16| Some(SocketAddr::from(([127, 0, 0, 1], *port)));
    let upstreams: Vec<Vec<Upstream>> = groups
        .iter()
        .map(|(_, list)| list.iter().map(|it| after.upstreams[*it].clone()).collect())
        .collect();
    let served = groups
        .iter()
        .zip(&upstreams)
        .map(|((ports, _), upstreams)| Served {
            ports: ports.iter().map(address).collect(),
            upstreams,
        });
    Plan::of(&served.collect::<Vec<_>>(), &after)
}

fn homes(plan: Result<Plan, Vec<Refused>>) -> Vec<Home> {
    plan.unwrap().homes
}

#[test]
fn a_listener_takes_its_group_along_to_other_upstreams() {
    let plan = plan(&[(&[1, 2], &[0, 1])], &[(1, &["b", "c"]), (2, &["b", "c"])]).unwrap();
    assert_eq!(plan.homes, [Home::Stays(0, 0), Home::Stays(0, 1)]);
    assert_eq!(plan.groups, [Some(vec![1, 2])]);
    assert_eq!(plan.new, [[0; 0]; 0]);
}

#[test]
fn listeners_that_share_a_group_cannot_part() {
    let refused = plan(&[(&[1, 2], &[0, 1])], &[(1, &["a", "b"]), (2, &["b", "a"])]).unwrap_err();
    let [refused] = refused.as_slice() else {
        panic!("{refused:?}");
    };
    assert_eq!(
        (refused.section, refused.place, refused.key),
        ("listener", 1, "upstreams")
    );
    assert_eq!(
        refused.text,
        "127.0.0.1:2 cannot be given other upstreams than 127.0.0.1:1 while running: their miners share a channel; \
         restart to change it"
    );
}

#[test]
fn groups_that_come_to_have_the_same_upstreams_stay_two() {
    let plan = plan(&[(&[1], &[0]), (&[2], &[1])], &[(1, &["a"]), (2, &["a"])]).unwrap();
    assert_eq!(plan.homes, [Home::Stays(0, 0), Home::Stays(1, 0)]);
    assert_eq!(plan.groups, [Some(vec![0]), Some(vec![0])]);
}

#[test]
fn a_new_listener_joins_the_group_with_its_upstreams_or_gets_one() {
    let groups: [(&[u16], &[usize]); 2] = [(&[1], &[0]), (&[2], &[1])];
    let before: [(u16, &[&str]); 2] = [(1, &["a"]), (2, &["b"])];
    let with = |new: (u16, &'static [&'static str])| {
        let all: Vec<_> = before.into_iter().chain([new]).collect();
        homes(plan(&groups, &all))
    };
    assert_eq!(with((3, &["b"])).last(), Some(&Home::Joins(1)));
    assert_eq!(with((3, &["c"])).last(), Some(&Home::New(0)));
}

#[test]
fn a_group_without_ports_goes_on_for_a_listener_with_its_upstreams() {
    let groups: [(&[u16], &[usize]); 2] = [(&[1], &[0]), (&[2], &[1])];
    let plan = plan(&groups, &[(3, &["b"]), (1, &["a"])]).unwrap();
    assert_eq!(plan.homes, [Home::Joins(1), Home::Stays(0, 0)]);
    assert_eq!(plan.groups, [Some(vec![0]), Some(vec![1])]);
}

#[test]
fn the_only_listener_may_get_another_port_and_other_upstreams_at_once() {
    let plan = plan(&[(&[1], &[0])], &[(2, &["b"]), (3, &["b"])]).unwrap();
    assert_eq!(plan.homes, [Home::Joins(0), Home::Joins(0)]);
    assert_eq!(plan.groups, [Some(vec![1])]);
    assert_eq!(plan.new, [[0; 0]; 0]);
}

#[test]
fn a_group_that_nobody_wants_ends() {
    let groups: [(&[u16], &[usize]); 2] = [(&[1], &[0]), (&[2], &[1])];
    let plan = plan(&groups, &[(1, &["a"])]).unwrap();
    assert_eq!(plan.groups, [Some(vec![0]), None]);
}

#[test]
fn of_several_ports_with_one_address_each_is_found_once() {
    let plan = plan(&[(&[0, 0], &[0])], &[(0, &["a"]), (0, &["a"]), (0, &["a"])]);
    assert_eq!(
        homes(plan),
        [Home::Stays(0, 0), Home::Stays(0, 1), Home::Joins(0)]
    );
}
