//! A store against a model of it: random histories, crashes, databases that come and go, feeds.

mod attachments;
mod catalog;
mod compare;
mod crash;
mod database;
mod feeds;
mod fixture;
mod histories;
mod play;
mod step;
mod tree;
