//! What a starting run goes on from.
