//! Quantities of resources, as tenants and nodes write them.
#![no_main]

use borealis_fuzz::api::{
    amounts::{CPU, EPHEMERAL, MEMORY, text},
    quantity::{nanos, resources},
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|written: &str| {
    let quantity = Quantity(written.to_owned());
    let Some(read) = nanos(&quantity) else { return };
    assert!(written.bytes().any(|byte| byte.is_ascii_digit()), "{written:?} has no digit");
    assert_eq!(read < 0, written.starts_with('-') && read != 0, "{written:?} is {read}");
    // What is told of an amount reads as that amount.
    for name in [CPU, MEMORY, EPHEMERAL, "example.com/gpu"] {
        let one = |quantity: Quantity| resources(Some(&[(name.to_owned(), quantity)].into()));
        let amounts = one(quantity.clone());
        let told = borealis_fuzz::api::amounts::amount(&amounts, name);
        assert_eq!(one(Quantity(text(name, told))), amounts, "{written:?} of {name}");
    }
});
