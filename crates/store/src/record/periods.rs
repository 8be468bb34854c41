//! Periods, within other records.

use crate::{
    Corrupt,
    codec::{Reader, put_length, put_number},
};
use tidegate_channels::{Period, Periods};
use tidegate_types::Seq;

/// Their number, then of each its first sequence and its end; zero while it goes on.
pub(crate) fn put(out: &mut Vec<u8>, periods: &Periods) {
    put_length(out, periods.as_slice().len());
    for period in periods.as_slice() {
        put_number(out, period.since.get());
        put_number(out, period.until.map_or(0, Seq::get));
    }
}

/// Passes over them.
pub(crate) fn skip(reader: &mut Reader<'_>) -> Result<(), Corrupt> {
    for _ in 0..reader.length()? {
        reader.number()?;
        reader.number()?;
    }
    Ok(())
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Periods, Corrupt> {
    let mut periods = Vec::new();
    for _ in 0..reader.length()? {
        let since = Seq::new(reader.number()?);
        let until = Some(Seq::new(reader.number()?)).filter(|until| *until > Seq::ZERO);
        periods.push(Period { since, until });
    }
    Periods::from_vec(periods).ok_or(reader.corrupt("periods out of order"))
}
