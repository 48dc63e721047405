//! Which events a trace records: those that the kernel has, filtered by the file systems that are followed.
use crate::trace::Trace;
use crate::trace_events::{DIRECT, DIRECT_BEGINS, DIRTY, Effect, Event, Family, RESHAPING, Row, WRITTEN};
use crate::trace_format::Format;

impl Trace {
    pub fn add_events(&mut self, reasons: &mut Vec<String>) -> std::result::Result<(), String> {
        for family in [Family::Ext4, Family::Xfs] {
            if !self.file_systems.iter().any(|of| of.family == family) {
                continue;
            }
            for row in RESHAPING.iter().filter(|row| row.family == Some(family)) {
                let Some((name, format)) = self.known(row) else {
                    self.give_up(family, row.events[0], reasons);
                    break;
                };
                let Some(event) = Event::read(row, name, &format) else {
                    self.give_up(family, name, reasons);
                    break;
                };
                self.events.insert(event.id, event);
            }
        }
        let dirty = self.event(&DIRTY).ok_or("the kernel has no event for dirty pages")?;
        let begins = self.event(&DIRECT_BEGINS).ok_or("the kernel has no event for direct writes")?;
        let direct = self.event(&DIRECT);
        self.tells_ends = direct.is_some();
        if let Ok(format) = self.instance.format(dirty.name) {
            self.kind = format.field("common_type").ok_or("the kernel's records have no type")?;
            self.thread = format.field("common_pid").ok_or("the kernel's records have no thread")?;
        }
        if self.file_systems.iter().any(|of| of.largest_folio > 1) {
            let written: Vec<Event> = WRITTEN.iter().filter_map(|row| self.event(row)).collect();
            self.events.extend(written.into_iter().map(|event| (event.id, event)));
        }
        self.events.insert(dirty.id, dirty);
        self.events.extend(direct.into_iter().chain([begins]).map(|event| (event.id, event)));
        let families: Vec<Family> = self.file_systems.iter().map(|of| of.family).collect();
        self.events.retain(|_, event| event.family.is_none_or(|family| families.contains(&family)));
        for event in self.events.values() {
            self.instance.enable(event.name, &self.filter(event)).map_err(|errno| format!("set the event {} (errno {})", event.name, errno.0))?;
        }
        Ok(())
    }

    fn known(&self, row: &Row) -> Option<(&'static str, Format)> {
        row.events.iter().find_map(|name| Some((*name, self.instance.format(name).ok()?)))
    }

    fn event(&self, row: &Row) -> Option<Event> {
        let (name, format) = self.known(row)?;
        Event::read(row, name, &format)
    }

    fn give_up(&mut self, family: Family, event: &str, reasons: &mut Vec<String>) {
        self.file_systems.retain(|of| of.family != family);
        reasons.push(format!("the kernel has no event {event} that is understood"));
    }

    /// Other file systems cost nothing: the kernel drops their events.
    fn filter(&self, event: &Event) -> String {
        let of = self.file_systems.iter().filter(|of| event.family.is_none_or(|family| family == of.family));
        let mut places: Vec<String> = of
            .map(|of| if event.effect == Effect::Dirty { format!("name == \"{}\"", of.disk) } else { format!("dev == {}", of.device) })
            .collect();
        places.sort();
        places.dedup();
        format!("({}){}", places.join(" || "), event.condition)
    }
}
