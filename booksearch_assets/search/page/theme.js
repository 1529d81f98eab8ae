// Before the first paint and so not a module: nobody shall see the other theme flash by.
{
  const kept = localStorage.getItem("theme");
  if (kept) document.documentElement.dataset.theme = kept;
}
