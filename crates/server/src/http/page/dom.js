// Elements by their ids.

export const $ = (id) => document.getElementById(id);
