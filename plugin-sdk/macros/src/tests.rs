//! What the derives refuse, and what they say then.

use crate::{row, state, timers, world};
use proc_macro2::TokenStream;
use syn::{DeriveInput, Result, parse_quote};

#[track_caller]
fn refused(derived: Result<TokenStream>) -> String {
    derived.unwrap_err().to_string()
}

fn field(attribute: &TokenStream) -> DeriveInput {
    parse_quote!(struct Kept { #attribute total: ValueState<u64> })
}

#[test]
fn states_that_make_no_sense_are_refused_at_the_field() {
    let slot = |attribute: TokenStream| refused(state::state(&field(&attribute)));
    assert_eq!(slot(quote::quote!(#[slot(version = 0)])), "versions count from 1");
    assert!(slot(quote::quote!(#[slot(ttl = "soon")])).contains("a span of time of at least a millisecond"));
    assert!(slot(quote::quote!(#[slot(ttl = "10us")])).contains("a span of time of at least a millisecond"));
    assert!(slot(quote::quote!(#[slot(migrate(1 = Old))])).contains("version 1 cannot be migrated to version 1"));
    assert!(slot(quote::quote!(#[slot(version = 3, migrate(1 = A, 1 = B))])).contains("version 1 is migrated twice"));
    assert!(slot(quote::quote!(#[slot(versoin = 3)])).contains("only `name = \"...\"`, `version = 2`"));
}

#[test]
fn states_without_slots_with_twins_or_borrowed_are_refused() {
    assert!(
        refused(state::state(&parse_quote!(
            struct Kept {}
        )))
        .contains("`NoState`")
    );
    assert!(
        refused(state::state(&parse_quote!(
            struct Kept<'a> {
                total: ValueState<&'a str>,
            }
        )))
        .contains("cannot borrow")
    );
    assert!(
        refused(state::state(&parse_quote!(
            struct Kept<T> {
                total: ValueState<T>,
            }
        )))
        .contains("cannot have type parameters")
    );
    let twins = parse_quote!(
        struct Kept {
            total: ValueState<u8>,
            #[slot(name = "total")]
            other: ValueState<u8>,
        }
    );
    assert_eq!(refused(state::state(&twins)), "the name `total` is there twice");
    assert!(
        refused(state::state(&parse_quote!(
            enum Kept {
                Total,
            }
        )))
        .contains("only a struct")
    );
}

#[test]
fn timers_without_a_clock_with_fields_or_of_one_name_are_refused() {
    assert!(
        refused(timers::timers(&parse_quote!(
            enum Alarm {
                Ring,
            }
        )))
        .contains("`#[timer(event_time)]`")
    );
    assert!(
        refused(timers::timers(&parse_quote!(
            enum Alarm {
                #[timer(event_time)]
                Ring(u8),
            }
        )))
        .contains("no fields")
    );
    assert!(
        refused(timers::timers(&parse_quote!(
            enum Alarm {
                #[timer(wall)]
                Ring,
            }
        )))
        .contains("only `event_time`")
    );
    assert!(
        refused(timers::timers(&parse_quote!(
            enum Alarm {}
        )))
        .contains("`NoTimers`")
    );
    assert!(
        refused(timers::timers(&parse_quote!(
            struct Alarm {
                ring: u8,
            }
        )))
        .contains("variants of an enum")
    );
    let twins = parse_quote!(
        enum Alarm {
            #[timer(event_time)]
            Ring,
            #[timer(event_time, name = "ring")]
            Bell,
        }
    );
    assert_eq!(refused(timers::timers(&twins)), "the name `ring` is there twice");
}

#[test]
fn rows_say_what_they_know_of_attributes() {
    let row = parse_quote!(
        struct Event {
            #[column(nmae = "a")]
            amount: f64,
        }
    );
    assert_eq!(refused(row::both(&row)), "only `name = \"...\"` is known here");
}

#[test]
fn every_world_of_the_contract_has_a_section_and_others_do_not() {
    for name in ["operator-plugin", "keyed-plugin", "migrating-keyed-plugin", "aggregate-plugin", "migrating-aggregate-plugin"] {
        assert!(world::section(&parse_quote!(#name)).is_ok(), "{name}");
    }
    assert!(world::section(&parse_quote!("other-plugin")).is_err());
}
