// Light or dark: as the system has it, until the reader chooses; the choice is kept where the browser lets us keep it.

const THEME = 'tfmem-theme';
const systemIsDark = matchMedia('(prefers-color-scheme: dark)');
const themeListeners = [];

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : systemIsDark.matches;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function themeChanged() {
  byId('theme').setAttribute('aria-pressed', String(isDark()));
  themeListeners.forEach((listener) => listener());
}

function startTheme() {
  try {
    const kept = localStorage.getItem(THEME);
    if (kept === 'dark' || kept === 'light') document.documentElement.dataset.theme = kept;
  } catch { /* no storage: as the system has it */ }
  byId('theme').addEventListener('click', () => {
    const chosen = isDark() ? 'light' : 'dark';
    document.documentElement.dataset.theme = chosen;
    try { localStorage.setItem(THEME, chosen); } catch { /* it holds for as long as the page is open */ }
    themeChanged();
  });
  systemIsDark.addEventListener('change', themeChanged);
  matchMedia('print').addEventListener('change', themeChanged);
  themeChanged();
}
