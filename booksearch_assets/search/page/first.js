// What must be settled before the first paint, and is no module for that reason: nobody shall see the other theme, or the
// layout of another state, flash by.
{
  const page = document.documentElement;
  const theme = localStorage.getItem("theme");
  if (theme) page.dataset.theme = theme;
  page.classList.toggle("at-home", !location.search);
}
