// A class as a component of a page: Streamlit calls a component's default export at every change of its data, and what
// that returned when the component leaves the page. The instance lives as long as the element that it is in.

/**
 * @param {new (parent: HTMLElement) => Mounted} Kind
 * @param {(data: any) => any} [read] what is done to the data first
 * @returns {(component: Component) => () => void}
 */
export function mounted(Kind, read = (data) => data) {
  /** @type {WeakMap<HTMLElement, Mounted>} */
  const instances = new WeakMap();
  return ({ parentElement, data, setStateValue, setTriggerValue }) => {
    let instance = instances.get(parentElement);
    if (!instance) {
      instance = new Kind(parentElement);
      instances.set(parentElement, instance);
    }
    Object.assign(instance, { setStateValue, setTriggerValue });
    instance.update(read(data));
    return () => {
      instance.close();
      instances.delete(parentElement);
    };
  };
}
