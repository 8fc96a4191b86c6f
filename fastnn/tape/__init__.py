"""The tape as data: kernel calls written down once (`record`, `instruction`), which of them are
needed and where their buffers may lie (`plan`), what they cost (`cost`, `report`). Devices make
programs of it and run them."""
