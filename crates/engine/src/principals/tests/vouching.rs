//! Users for whom somebody else vouches.
