//! Borealis core.
