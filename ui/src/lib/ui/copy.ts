// Copies text, also where the page is not served over https and the clipboard API does not exist.

export async function copyText(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard && isSecureContext) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // Refused: the old way below may still be allowed.
  }
  const box = document.createElement('textarea');
  box.value = text;
  box.readOnly = true;
  box.style.position = 'fixed';
  box.style.opacity = '0';
  // Inside an open dialog, because its focus trap takes the focus away from everything else.
  const home = document.querySelector('[role="dialog"], [role="alertdialog"]') ?? document.body;
  const before = document.activeElement as HTMLElement | null;
  home.append(box);
  box.select();
  let copied: boolean;
  try {
    copied = document.execCommand('copy');
  } catch {
    copied = false;
  }
  box.remove();
  before?.focus();
  return copied;
}
