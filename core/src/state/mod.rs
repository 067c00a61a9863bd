//! Which changes of state are legal, and what they entail.
