//! Borealis.
