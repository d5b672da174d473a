//! What nodectl can do: one file a verb.

pub mod doctor;
pub mod exec;
pub mod launch;
pub mod load;
pub mod logs;
pub mod ls;
pub mod start;
