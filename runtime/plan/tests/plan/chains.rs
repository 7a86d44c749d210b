//! The shape of the physical plan of random pipelines.

use crate::common::{CLICKS, source};
use proptest::prelude::*;
use stygian_plan::{Exchange, Facts, NodeKind, Plan};

/// An operator by its kind and which earlier nodes it reads.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    reads: Vec<prop::sample::Index>,
}

/// A pipeline of two sources and these operators, all with the columns of clicks, with a sink behind some.
fn pipeline(steps: &[Step], sinks: &[prop::sample::Index], parallelism: u16) -> String {
    let mut text = format!("name = 'random'\n[settings]\nparallelism = {parallelism}\n");
    let mut streams = Vec::new();
    for n in 0..2 {
        text += &format!("[source.s{n}]\nconnector = 'files'\nevent_time = 'at'\n");
        streams.push(format!("s{n}"));
    }
    for (n, step) in steps.iter().enumerate() {
        let mut inputs: Vec<String> = step.reads.iter().map(|read| read.get(&streams).clone()).collect();
        inputs.sort();
        inputs.dedup();
        let input = &inputs[0];
        text += &match step.kind {
            0 => format!("[operator.o{n}]\ninput = '{input}'\nfilter = 'amount > {n}'\n"),
            1 => format!(
                "[operator.o{n}]\ninput = '{input}'\nselect = {{ buyer = 'buyer', item = 'item', amount = 'amount + 1', at = 'at' }}\n"
            ),
            2 => format!("[operator.o{n}]\ninput = '{input}'\nbranch = {{ low = 'amount < {n}' }}\n"),
            3 => window(n, input),
            _ if inputs.len() > 1 => format!("[operator.o{n}]\ninputs = {inputs:?}\nunion = true\n"),
            _ => format!("[operator.o{n}]\ninput = '{input}'\nfilter = 'true'\n"),
        };
        match step.kind {
            2 => streams.extend([format!("o{n}.low"), format!("o{n}.other")]),
            // The results of a window have other columns; its late rows have the same.
            3 => streams.push(format!("o{n}.late")),
            _ => streams.push(format!("o{n}")),
        }
    }
    for (n, sink) in sinks.iter().enumerate() {
        text += &format!("[sink.z{n}]\ninput = '{}'\nconnector = 'files'\n", sink.get(&streams));
    }
    text
}

fn window(n: usize, input: &str) -> String {
    let keys = ["['buyer']", "['item', 'buyer']", "[]"][n % 3];
    format!("[operator.o{n}]\ninput = '{input}'\nwindow = {{ tumbling = '1h' }}\nkey_by = {keys}\naggregate = {{ n = 'count(*)' }}\n")
}

fn check(plan: &Plan, nodes: usize) {
    assert_eq!(plan.nodes.len(), nodes);
    let mut homes = vec![Vec::new(); plan.nodes.len()];
    for (number, chain) in plan.chains.iter().enumerate() {
        assert!(chain.nodes.is_sorted());
        chain.nodes.iter().for_each(|node| homes[*node].push(number));
    }
    assert!(homes.iter().all(|homes| homes.len() == 1), "every node is in one chain: {homes:?}");
    for (index, node) in plan.nodes.iter().enumerate() {
        let home = homes[index][0];
        let head = plan.chains[home].nodes[0] == index;
        assert_eq!(plan.chain_of(index), Some(home));
        assert_eq!(plan.chains[home].parallelism, node.parallelism);
        for edge in &node.inputs {
            assert!(edge.from < index, "rows flow from smaller to larger indices");
            assert!(plan.schema_of(edge).is_some());
            let crosses = homes[edge.from][0] != home;
            assert!(crosses || edge.exchange == Exchange::Forward, "what is hashed changes the chain");
            assert_eq!(crosses, head, "only a head is reached from another chain");
        }
        let must_head = match node.kind {
            NodeKind::Source(_) | NodeKind::Union | NodeKind::Window(..) | NodeKind::Dedup(_) | NodeKind::Top(_) => true,
            NodeKind::Filter(_) | NodeKind::Select(_) | NodeKind::Branch(_) | NodeKind::Plugin(_) | NodeKind::Sink(_) => false,
        };
        assert_eq!(head, must_head, "{}", node.id);
    }
}

fn step() -> impl Strategy<Value = Step> {
    (0_u8..5, prop::collection::vec(any::<prop::sample::Index>(), 1..4)).prop_map(|(kind, reads)| Step { kind, reads })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_node_is_in_one_chain_and_chains_are_trees(
        steps in prop::collection::vec(step(), 0..12),
        sinks in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        parallelism in 1_u16..4,
    ) {
        let mut facts = Facts::default();
        for name in ["s0", "s1"] {
            facts.sources.insert(name.into(), source(&CLICKS));
        }
        let text = pipeline(&steps, &sinks, parallelism);
        check(&crate::common::planned(&text, &facts), 2 + steps.len() + sinks.len());
    }
}
